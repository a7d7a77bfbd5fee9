"""Rooms with posed images, and settings that make a run take seconds."""

from dataclasses import replace
from pathlib import Path

import pytest

from pcl_data import save_scene
from pcl_methods.labelfree.testing import make_posed_room


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labeled scenes with three images each, in the store layout."""
    root = tmp_path_factory.mktemp("scans")
    for index in range(4):
        save_scene(make_posed_room(f"scene{index}", index), root / f"scene{index}")
    return root


@pytest.fixture(scope="session")
def bare_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of them as their owner has them: without annotations."""
    root = tmp_path_factory.mktemp("bare")
    for index in range(2):
        room = make_posed_room(f"scene{index}", index)
        room = replace(room, labels=None, instances=None, label_set=None)
        save_scene(room, root / f"scene{index}")
    return root


SMALL = [
    "model.width=0.25",
    "model.views=1",
    "model.voxel_size=0.1",
    "train.steps=6",
    "train.batch_size=2",
    "train.checkpoint_every=2",
    "train.log_every=2",
    "method.correlation_epoch=2",
    "method.feedback_epoch=3",
    "method.n_samples=32",
    "method.n_layers=1",
]


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Settings of a short run on `scans`."""
    return [*SMALL, "data.validation=[scene3]", "data.options.label_set=scannet20"]


@pytest.fixture(scope="session")
def small_bare() -> list[str]:
    """Settings of a short run on `bare_scans`."""
    return SMALL
