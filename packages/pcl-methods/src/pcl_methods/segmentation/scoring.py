"""Scores on every point of some scenes, as the official scripts count."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import numpy as np

from pcl_calibration import ClassCalibrationError
from pcl_data import LabelSet, Scene
from pcl_data.evaluation import InstanceEvaluator, ScoreProtocol, SemanticEvaluator
from pcl_data.label_set import Frequency
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.calibration import calibration_scores, count_points
from pcl_methods.segmentation.inference import Classes, Instances

FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)
BY_FREQUENCY = tuple(f"{s}_{f}" for s in ("ap", "ap50", "ap25", "miou") for f in FREQUENCIES)


def score_split(
    find: Callable[[Scene], Classes],
    split: SceneSplit,
    label_set: LabelSet,
    *,
    trained_on: str,
    budget: str,
    views: int = 1,
    min_region: int = 100,
    table: ClassCalibrationError | None = None,
) -> dict[str, Any]:
    """`score_scenes` on the held-out scenes of a split, with a protocol that says all of it.

    Args:
        find: classes or instances of a scene.
        split: the scenes.
        label_set: of the classes.
        trained_on: name of the data that was learned from.
        budget: name of the labels that were learned from.
        views: of a scene, that `find` averages.
        min_region: points of an instance that is scored.
        table: takes the confidences too, to be drawn or kept.

    Raises:
        ValueError: if the scenes have another label set, or lack what is scored.
    """
    if split.label_set is None or split.label_set.names != label_set.names:
        own = "none" if split.label_set is None else split.label_set.name
        raise ValueError(f"split must have labels of {label_set.name}, got {own} in {split.data}")
    return score_scenes(
        (split.load(name) for name in split.validation),
        find,
        label_set,
        protocol=ScoreProtocol(
            data=split.data,
            split="held-out",
            views=views,
            budget=budget,
            trained_on=trained_on,
        ),
        min_region=min_region,
        table=table,
    )


def score_scenes(
    scenes: Iterable[Scene],
    find: Callable[[Scene], Classes],
    label_set: LabelSet,
    *,
    protocol: ScoreProtocol = ScoreProtocol(views=1),
    min_region: int = 100,
    table: ClassCalibrationError | None = None,
) -> dict[str, Any]:
    """mIoU, mAcc and calibration of the classes and, of instances, AP, AP50 and AP25.

    Args:
        scenes: with labels, and with instances where they are scored.
        find: classes (`find_classes`) or instances (`find_instances`) of a scene.
        label_set: of the labels.
        protocol: how the scores were made, for their name.
        min_region: points of an instance that is scored.
        table: takes the confidences too, to be drawn or kept.

    Returns:
        fractions, NaN where undefined, the `protocol`, `per_class`, and those of
        `calibration_scores`; where the label set says how frequent its classes are, also those of
        `BY_FREQUENCY`.

    Raises:
        ValueError: if a scene has no labels, or instances are found and it has none.
    """
    semantic = SemanticEvaluator(label_set, protocol=protocol)
    instance = InstanceEvaluator(label_set, min_region=min_region, protocol=protocol)
    table = ClassCalibrationError(label_set.n_classes) if table is None else table
    with_instances = False
    for scene in scenes:
        found, labels = find(scene), _truth(scene, "labels")
        semantic.update(labels, found.labels)
        count_points(table, labels, found)
        if isinstance(found, Instances):
            with_instances = True
            truth = labels, _truth(scene, "instances")
            instance.update(*truth, found.masks(), found.instance_labels, found.scores)
    classes = semantic.compute()
    scores: dict[str, Any] = {"miou": classes.miou, "macc": classes.macc, **classes.by_frequency}
    scores |= {"protocol": classes.protocol, "per_class": classes.per_class}
    scores |= calibration_scores(table, label_set)
    if with_instances:
        objects = instance.compute()
        scores |= {"ap": objects.ap, "ap50": objects.ap50, "ap25": objects.ap25}
        scores |= objects.by_frequency
        scores["protocol"] = objects.protocol  # names the smallest region as well
    return scores


def shown_number(value: float | int | None, form: str) -> str:
    """A score in a table: `-` where there is none.

    Example:
        >>> (
        ...     shown_number(0.25, ".3f"),
        ...     shown_number(float("nan"), ".3f"),
        ...     shown_number(None, ".3f"),
        ... )
        ('0.250', '-', '-')
    """
    return "-" if value is None or math.isnan(value) else format(value, form)


def frequency_lines(scores: Mapping[str, Any]) -> list[str]:
    """A line for the head, the common and the tail classes; none where there are no such scores.

    Example:
        >>> scores = dict.fromkeys(BY_FREQUENCY, 0.25)
        >>> frequency_lines({"ap": 0.25}), frequency_lines(scores)[2]
        ([], 'tail    AP 0.250  AP50 0.250  AP25 0.250  mIoU 0.250')
    """
    titles = {"ap": "AP", "ap50": "AP50", "ap25": "AP25", "miou": "mIoU"}
    return [
        f"{one:<6}"
        + "".join(
            f"  {title} {shown_number(scores[f'{name}_{one}'], '.3f')}"
            for name, title in titles.items()
        )
        for one in FREQUENCIES
        if f"ap_{one}" in scores
    ]


def _truth(scene: Scene, field: str) -> np.ndarray:
    values = getattr(scene, field)
    if values is None:
        raise ValueError(f"scene {scene.name} must have {field} to be scored, got none")
    return values
