"""Scores of a model on held-out scenes, and of pseudo-labels against hidden truth."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from pcl_data import Scene
from pcl_data.evaluation import ScoreProtocol
from pcl_methods.segmentation.scoring import score_scenes
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
    """The scores of `score_scenes`, their protocol naming the label budget of the run."""
    config = objective.config
    protocol = ScoreProtocol(tta=False)
    if split.labeled:  # the scenes are those of the run
        budget = f"lr-{len(split.labeled)}-seed{config.seed}"
        protocol = ScoreProtocol(split="held-out", tta=False, budget=budget)
    return score_scenes(
        (split.load(name) for name in names),
        lambda scene: find_instances(objective, predict_scene(objective, scene, device)),
        split.label_set,
        protocol=protocol,
        min_region=config.min_region,
    )


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
