"""Scores of label-free segmentation: mIoU, and its mean over the foreground alone."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pcl_clip3d import text_logits
from pcl_data import LabelSet, Scene
from pcl_data.evaluation import ScoreProtocol, SemanticEvaluator
from pcl_data.splits import SceneSplit
from pcl_methods.labelfree.ensemble import chosen_by_cosine, image_features
from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.labelfree.samples import refine_in_sets
from pcl_methods.labelfree.text_network import OpenVocabulary

SCORES = ("miou", "f_miou", "macc")
STEPS = ("projected labels", "refined in sets", "network", "2D-3D ensemble")


def score_classes(
    scenes: Iterable[Scene],
    find: Callable[[Scene], np.ndarray],
    label_set: LabelSet,
    *,
    protocol: ScoreProtocol = ScoreProtocol(views=1),
) -> dict[str, Any]:
    """mIoU, mAcc, and the mean IoU of the foreground, `f_miou`.

    The foreground are the classes with instances, without wall, floor and ceiling, as in Ding et
    al., "PLA: Language-Driven Open-Vocabulary 3D Scene Understanding", CVPR 2023.

    Args:
        scenes: with labels.
        find: the class of every point of a scene, (n,), -1 none.
        label_set: of the labels.
        protocol: how the scores were made.

    Returns:
        fractions, NaN where undefined, `per_class`, and `protocol` and `f_protocol`.

    Raises:
        ValueError: if a scene has no labels.
    """
    evaluator = SemanticEvaluator(label_set, protocol=protocol)
    for scene in scenes:
        evaluator.update(_truth(scene), find(scene))
    return _scores(evaluator)


def score_parts(
    split: SceneSplit,
    load_labels: Callable[[str], ImageLabels],
    vocabulary: OpenVocabulary,
    *,
    trained_on: str,
) -> list[dict[str, Any]]:
    """Scores of every step from images to network on the held-out scenes, a row a step.

    The labels of the images projected to the points; the same refined in sets; the network; and the
    2D-3D ensemble (`chosen_by_cosine`), which needs images of the scene that is labeled. A point
    that no image sees is wrong in the first two.

    Args:
        split: with held-out scenes.
        load_labels: the image labels of each of them.
        vocabulary: the trained network.
        trained_on: name of the data that was learned from.
    """
    label_set, n_classes = vocabulary.segmenter.label_set, vocabulary.segmenter.label_set.n_classes
    protocol = ScoreProtocol(
        split.data,
        "held-out",
        views=vocabulary.segmenter.views,
        budget="none",
        trained_on=trained_on,
    )
    evaluators = {step: SemanticEvaluator(label_set, protocol=protocol) for step in STEPS}
    for scene in map(split.load, split.validation):
        found, features = load_labels(scene.name), vocabulary.features(scene)
        text = vocabulary.text_features
        both = chosen_by_cosine(image_features(found).to(text), features, text)
        labels = (
            found.fused(found.labels, n_classes),
            found.fused(refine_in_sets(found, n_classes), n_classes),
            text_logits(features, text).argmax(dim=1).cpu().numpy(),
            both.argmax(dim=1).cpu().numpy(),
        )
        for step, predicted in zip(STEPS, labels, strict=True):
            evaluators[step].update(_truth(scene), predicted)
    return [{"step": step, **_scores(evaluator)} for step, evaluator in evaluators.items()]


def _truth(scene: Scene) -> np.ndarray:
    if scene.labels is None:
        raise ValueError(f"scene {scene.name} must have labels to be scored, got none")
    return np.asarray(scene.labels)


def _scores(evaluator: SemanticEvaluator) -> dict[str, Any]:
    found, label_set = evaluator.compute(), evaluator.label_set
    foreground = [found.per_class[label_set.names[i]] for i in label_set.things]
    known = [value for value in foreground if not np.isnan(value)]
    return {
        "miou": found.miou,
        "f_miou": float(np.mean(known)) if known else float("nan"),
        "macc": found.macc,
        "per_class": found.per_class,
        "protocol": found.protocol,
        "f_protocol": f"{found.protocol}/foreground",
    }
