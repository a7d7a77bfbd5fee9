"""Scores of a model on held-out scenes, and of pseudo-labels against hidden truth."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from pcl_data import Scene
from pcl_data.evaluation import InstanceEvaluator, Protocol, SemanticEvaluator
from pcl_pseudolabel import (
    PseudoLabelQuality,
    PseudoLabelRecord,
    PseudoLabels,
    PseudoLabelStore,
    centroid_offsets,
    pseudo_label_quality,
)
from twist_cli.inference import find_instances, predict_scene
from twist_cli.objective import TwistObjective
from twist_cli.scenes import Split


def evaluate_scenes(
    objective: TwistObjective, split: Split, names: Iterable[str], device: torch.device
) -> dict[str, Any]:
    """AP, AP50, AP25, mIoU and mAcc on every point of the scenes, as the official scripts count.

    Returns:
        fractions, null where undefined, the `protocol`, and `per_class`.
    """
    config = objective.config
    protocol = Protocol(tta=False)
    if split.labeled:  # the scenes are those of the run
        budget = f"lr-{len(split.labeled)}-seed{config.seed}"
        protocol = Protocol(split="held-out", tta=False, budget=budget)
    semantic = SemanticEvaluator(split.label_set, protocol=protocol)
    instance = InstanceEvaluator(split.label_set, min_region=config.min_region, protocol=protocol)
    for name in names:
        scene = split.load(name)
        assert scene.labels is not None  # Split.load has checked
        assert scene.instances is not None
        found = find_instances(objective, predict_scene(objective, scene, device))
        semantic.update(scene.labels, found.labels)
        instance.update(
            scene.labels, scene.instances, found.masks(), found.instance_labels, found.scores
        )
    classes, objects = semantic.compute(), instance.compute()
    return {
        "ap": objects.ap,
        "ap50": objects.ap50,
        "ap25": objects.ap25,
        "miou": classes.miou,
        "macc": classes.macc,
        "protocol": objects.protocol,
        "per_class": classes.per_class,
    }


def pseudo_scores(store: PseudoLabelStore, split: Split) -> dict[str, float | None]:
    """Fig. 4 over the unlabelled scenes whose truth is known; null where none is."""
    scenes = [scene_quality(store.load(name), split.load(name)) for name in split.unlabeled]
    quality = shown_quality(sum(scenes, start=PseudoLabelQuality()))
    return {f"pseudo_{key}": value for key, value in quality.items()}


def scene_quality(record: PseudoLabelRecord, scene: Scene) -> PseudoLabelQuality:
    """The pseudo-labels of one scene against its truth, which training never sees."""
    if scene.labels is None or scene.instances is None:
        return PseudoLabelQuality()
    points, instances = (torch.from_numpy(np.array(x)) for x in (scene.points, scene.instances))
    batch_index = torch.zeros(len(points), dtype=torch.int64)
    offsets = torch.from_numpy(record.centroid_offsets(points.numpy()))
    pseudo = PseudoLabels(
        torch.from_numpy(record.labels.astype(np.int64)),
        offsets,
        torch.from_numpy(record.proposals >= 0),
    )
    truth = centroid_offsets(points, instances, batch_index)
    labels = torch.from_numpy(np.array(scene.labels))
    return pseudo_label_quality(pseudo, labels, truth, instances)


def shown_quality(quality: PseudoLabelQuality) -> dict[str, float | None]:
    """The figures of a quality, null where undefined (JSON has no NaN)."""
    names = ("semantic_accuracy", "offset_error", "coverage")
    values = {name: getattr(quality, name) for name in names}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
