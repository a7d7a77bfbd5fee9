"""Small scenes that a network learns in seconds: boxes of two classes on a floor."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcl_data import Frame, save_scene
from pcl_methods.segmentation.testing import make_room, make_sweep

INTRINSICS = np.array([[30.0, 0, 19.5], [0, 30, 14.5], [0, 0, 1]])


def make_frame(x: float, rng: np.random.Generator) -> Frame:
    """A camera 2 m above (x, 1.5) that looks straight down on a rough floor."""
    image = rng.integers(0, 255, (30, 40, 3)).astype(np.uint8)
    depth = 2 + 0.2 * rng.random((30, 40), dtype=np.float32)
    pose = np.array([[1.0, 0, 0, x], [0, -1, 0, 1.5], [0, 0, -1, 2], [0, 0, 0, 1]])
    return Frame(image, depth, INTRINSICS, pose)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rooms in the store layout, with three frames each, of which two overlap."""
    root = tmp_path_factory.mktemp("scans")
    for index in range(6):
        rng = np.random.default_rng(index)
        frames = tuple(make_frame(x, rng) for x in (1.0, 1.3, 8.0))
        room = replace(make_room(f"scene{index}", index), frames=frames)
        save_scene(room, root / room.name)
    return root


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sweeps in the store layout."""
    root = tmp_path_factory.mktemp("sweeps")
    for index in range(4):
        save_scene(make_sweep(f"sweep{index}", index), root / f"sweep{index}")
    return root


SMALL_MODEL = [
    "model.backbone=res16unet14a",
    "model.width=0.25",
    "model.views=1",
    "model.voxel_size=0.08",
]
INDOOR = ["data.kind=folder", "data.validation=[scene4,scene5]"]
OUTDOOR = [
    "data.kind=folder",
    "data.features=intensity",
    "data.options.label_set=semantickitti19",
    "data.validation=[sweep3]",
]


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Settings that make a pre-training of scans take seconds."""
    return [
        *SMALL_MODEL,
        *INDOOR,
        "data.options.label_set=scannet20",
        "train.steps=6",
        "train.batch_size=2",
        "train.checkpoint_every=2",
        "train.log_every=2",
        "contrast.n_matches=200",
        "teacher.queue_size=64",
        "teacher.channels=16",
        "sspl.n_clusters=4",
        "sspl.n_negatives=32",
        "sspl.refresh_every=2",
        "monitor.every=3",
        "monitor.batches=1",
    ]


@pytest.fixture(scope="session")
def few() -> list[str]:
    """Settings that make a fine-tuning on scans take seconds."""
    return [
        *SMALL_MODEL,
        *INDOOR,
        "data.options.label_set=scannet20",
        "train.steps=6",
        "train.batch_size=1",
        "train.checkpoint_every=2",
        "train.log_every=2",
    ]


@pytest.fixture(scope="session")
def outdoor() -> list[str]:
    """Settings of the data that `sweeps` holds, and of a network for it."""
    network = ["model.backbone=submanifold", "model.voxel_size=0.5", "model.width=0.5"]
    return [*OUTDOOR, *network, "model.views=1"]
