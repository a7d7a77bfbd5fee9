"""Small scenes that a network learns in seconds: boxes of two classes on a floor."""

from pathlib import Path

import numpy as np
import pytest

from pcl_data import SCANNET20, Scene, save_scene

FLOOR, CHAIR, TABLE = (SCANNET20.names.index(name) for name in ("floor", "chair", "table"))
COLORS = {FLOOR: (90, 90, 90), CHAIR: (200, 60, 60), TABLE: (60, 60, 200)}


def make_scene(name: str, seed: int) -> Scene:
    """A floor of 3 x 3 m with four boxes, 400 points each."""
    rng = np.random.default_rng(seed)
    points = [rng.uniform((0, 0, 0), (3, 3, 0.01), (1500, 3))]
    labels, instances = [np.full(1500, FLOOR)], [np.full(1500, -1)]
    for instance, corner in enumerate(((0.3, 0.3), (2.0, 0.4), (0.4, 2.0), (2.0, 2.0))):
        label = CHAIR if instance % 2 == 0 else TABLE
        size = (0.4, 0.4, 0.8) if label == CHAIR else (0.7, 0.6, 0.5)
        offset = (*(np.array(corner) + rng.uniform(-0.1, 0.1, 2)), 0.05)
        points.append(rng.uniform(0, size, (400, 3)) + offset)
        labels.append(np.full(400, label))
        instances.append(np.full(400, instance))
    labels = np.concatenate(labels)
    colors = np.array([COLORS[label] for label in labels]) + rng.integers(-20, 20, (len(labels), 3))
    return Scene(
        name,
        np.concatenate(points).astype(np.float32),
        colors=colors.astype(np.uint8),
        labels=labels.astype(np.int64),
        instances=np.concatenate(instances).astype(np.int64),
        label_set=SCANNET20,
    )


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes in the store layout."""
    root = tmp_path_factory.mktemp("scans")
    for index in range(6):
        save_scene(make_scene(f"scene{index}", index), root / f"scene{index}")
    return root


SMALL = [
    "model.backbone=res16unet14a",
    "model.width=0.25",
    "model.voxel_size=0.08",
    "train.initial_steps=6",
    "train.steps=6",
    "train.labeled_scenes=1",
    "train.unlabeled_scenes=1",
    "train.checkpoint_every=2",
    "train.log_every=2",
    "twist.rounds=1",
    "twist.min_points=5",
    "twist.recorrector_start=2",
    "data.labeled=[scene0,scene1]",
    "data.validation=[scene5]",
]


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Settings that make a run take seconds."""
    return SMALL
