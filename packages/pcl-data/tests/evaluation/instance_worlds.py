"""Scenes and predictions for the tests of the instance evaluator."""

import dataclasses
from typing import NamedTuple

import numpy as np

from pcl_data.evaluation import InstanceEvaluator, InstanceResult
from pcl_data.label_set import SCANNET20

WALL, BED, CHAIR = 0, 3, 4
UNLABELED = -1


class Mask(NamedTuple):
    """A prediction: its points, class and score."""

    points: list[int]
    label: int
    score: float


class World(NamedTuple):
    """A scene: class and instance of every point, and the predictions."""

    labels: list[int]
    instances: list[int]
    masks: list[Mask]


def world(runs: list[tuple[int, int, int]], masks: list[tuple[range, int, float]]) -> World:
    """A scene of runs of (length, class, instance id) and predictions that are ranges of points."""
    labels = [label for length, label, _ in runs for _ in range(length)]
    instances = [instance for length, _, instance in runs for _ in range(length)]
    members = [Mask([i for i in r if i < len(labels)], label, score) for r, label, score in masks]
    return World(labels, instances, members)


def arrays(scene: World, *, as_indices: bool = False) -> dict:
    masks = [np.array(mask.points, dtype=np.int64) for mask in scene.masks]
    if not as_indices:
        dense = np.zeros((len(masks), len(scene.labels)), dtype=bool)
        for row, mask in zip(dense, masks, strict=True):
            row[mask] = True
        masks = dense
    return {
        "labels": np.array(scene.labels, dtype=np.int64),
        "instances": np.array(scene.instances, dtype=np.int64),
        "masks": masks,
        "mask_labels": np.array([mask.label for mask in scene.masks], dtype=np.int64),
        "scores": np.array([mask.score for mask in scene.masks], dtype=np.float64),
    }


def evaluate(*scenes: World, min_region: int = 1, as_indices: bool = False) -> InstanceResult:
    evaluator = InstanceEvaluator(SCANNET20, min_region=min_region)
    for scene in scenes:
        evaluator.update(**arrays(scene, as_indices=as_indices))
    return evaluator.compute()


def chair(*scenes: World, min_region: int = 1):
    return evaluate(*scenes, min_region=min_region).per_class["chair"]


def as_table(result: InstanceResult) -> np.ndarray:
    rows = [dataclasses.astuple(row) for row in result.per_class.values()]
    return np.array([*rows, (result.ap, result.ap50, result.ap25)])


def assert_same(left: InstanceResult, right: InstanceResult) -> None:
    np.testing.assert_allclose(as_table(left), as_table(right), rtol=0, atol=1e-12)
