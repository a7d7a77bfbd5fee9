"""Small scenes that a network learns in seconds: boxes of two classes on a floor."""

from pathlib import Path

import pytest

from pcl_data import save_scene
from pcl_methods.segmentation.testing import make_room


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes in the store layout."""
    root = tmp_path_factory.mktemp("scans")
    for index in range(6):
        save_scene(make_room(f"scene{index}", index), root / f"scene{index}")
    return root


SMALL = [
    "model.backbone=res16unet14a",
    "model.width=0.25",
    "model.views=1",
    "model.voxel_size=0.08",
    "train.initial_steps=6",
    "train.steps=6",
    "train.labeled_batch_size=1",
    "train.unlabeled_batch_size=1",
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
