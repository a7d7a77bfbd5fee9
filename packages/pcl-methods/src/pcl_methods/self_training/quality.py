"""Scores of a model on held-out scenes, and of pseudo-labels against hidden truth (Fig. 4).

Chu et al., "TWIST", CVPR 2022, section 5.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from pcl_calibration import ClassCalibrationError
from pcl_data import Scene
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.scoring import score_split
from pcl_methods.self_training.judgment import segment_scene
from pcl_methods.self_training.networks import TwistModel
from pcl_pseudolabel import (
    PseudoLabelQuality,
    PseudoLabels,
    PseudoLabelStore,
    centroid_offsets,
    pseudo_label_quality,
)

SCORES = ("ap", "ap50", "ap25", "miou", "ece")
FIGURES = ("semantic_accuracy", "offset_error", "coverage")
QUALITY = tuple(f"pseudo_{name}" for name in FIGURES)


@dataclass(frozen=True)
class Scoring:
    """How the held-out scenes are scored.

    Args:
        min_region: points of an instance that counts.
        reclassify: whether Ψ gives the instances their classes.
    """

    min_region: int = 100
    reclassify: bool = False


def evaluate_scenes(
    model: TwistModel,
    split: SceneSplit,
    scoring: Scoring,
    table: ClassCalibrationError | None = None,
) -> dict[str, Any]:
    """The scores of `score_split` of a model that learned from the split itself."""
    return score_split(
        partial(segment_scene, model, reclassify=scoring.reclassify),
        split,
        model.label_set,
        trained_on=split.data,
        budget=split.budget.name,
        views=model.views,
        min_region=scoring.min_region,
        table=table,
    )


def pseudo_scores(store: PseudoLabelStore, split: SceneSplit) -> dict[str, float | None]:
    """Fig. 4 over the unlabeled scenes whose truth is known; null where none is."""
    scenes = [scene_quality(store.load(name), split.load(name)) for name in split.unlabeled]
    quality = shown_quality(sum(scenes, start=PseudoLabelQuality()))
    return {f"pseudo_{name}": value for name, value in quality.items()}


def scene_quality(pseudo: PseudoLabels, scene: Scene) -> PseudoLabelQuality:
    """The pseudo-labels of one scene against its truth, which training never sees."""
    if scene.labels is None or scene.instances is None:
        return PseudoLabelQuality()
    points, labels, instances = (
        torch.from_numpy(np.array(values))
        for values in (scene.points, scene.labels, scene.instances)
    )
    truth = centroid_offsets(points, instances, torch.zeros_like(instances))
    return pseudo_label_quality(pseudo.at(points), labels, truth, instances)


def shown_quality(quality: PseudoLabelQuality) -> dict[str, float | None]:
    """The figures of a quality, null where undefined (JSON has no NaN)."""
    values = {name: getattr(quality, name) for name in FIGURES}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
