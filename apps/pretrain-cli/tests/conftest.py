"""Small scenes that a network learns in seconds: boxes of two classes on a floor."""

from pathlib import Path

import numpy as np
import pytest

from pcl_data import SCANNET20, SEMANTICKITTI19, Frame, Scene, save_scene

FLOOR, CHAIR, TABLE = (SCANNET20.names.index(name) for name in ("floor", "chair", "table"))
COLORS = {FLOOR: (90, 90, 90), CHAIR: (200, 60, 60), TABLE: (60, 60, 200)}
INTRINSICS = np.array([[30.0, 0, 19.5], [0, 30, 14.5], [0, 0, 1]])


def make_scene(name: str, seed: int) -> Scene:
    """A floor of 3 x 3 m with four boxes, 400 points each, and three frames that look down."""
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
        frames=tuple(make_frame(x, rng) for x in (1.0, 1.3, 8.0)),
        label_set=SCANNET20,
    )


def make_frame(x: float, rng: np.random.Generator) -> Frame:
    """A camera 2 m above (x, 1.5) that looks straight down on a rough floor."""
    image = rng.integers(0, 255, (30, 40, 3)).astype(np.uint8)
    depth = 2 + 0.2 * rng.random((30, 40), dtype=np.float32)
    pose = np.array([[1.0, 0, 0, x], [0, -1, 0, 1.5], [0, 0, -1, 2], [0, 0, 0, 1]])
    return Frame(image, depth, INTRINSICS, pose)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes in the store layout, with frames."""
    root = tmp_path_factory.mktemp("scans")
    for index in range(6):
        save_scene(make_scene(f"scene{index}", index), root / f"scene{index}")
    return root


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clouds with intensity and labels of streets, 40 x 40 m."""
    root = tmp_path_factory.mktemp("sweeps")
    for index in range(4):
        rng = np.random.default_rng(index)
        ground = rng.uniform((-20, -20, 0), (20, 20, 0.1), (3000, 3))
        cars = rng.uniform((0, 0, 0), (4, 2, 1.5), (600, 3)) + rng.uniform(-10, 10, (1, 3)) * (
            1,
            1,
            0,
        )
        labels = np.repeat(
            [SEMANTICKITTI19.names.index(name) for name in ("road", "car")], (3000, 600)
        )
        scene = Scene(
            f"sweep{index}",
            np.concatenate([ground, cars]).astype(np.float32),
            intensity=np.repeat([0.2, 0.8], (3000, 600)).astype(np.float32),
            labels=labels.astype(np.int64),
            label_set=SEMANTICKITTI19,
        )
        save_scene(scene, root / scene.name)
    return root


SMALL_MODEL = ["model.backbone=res16unet14a", "model.width=0.25", "model.voxel_size=0.08"]
INDOOR = ["data.kind=folder", "data.validation=[scene4,scene5]"]
OUTDOOR = [
    "data.kind=folder",
    "data.features=intensity",
    "data.options=[label_set=semantickitti19]",
    "data.validation=[sweep3]",
]


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Settings that make a pre-training of scans take seconds."""
    return [
        *SMALL_MODEL,
        *INDOOR,
        "data.options=[label_set=scannet20]",
        "train.steps=6",
        "train.scenes=2",
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
        "data.options=[label_set=scannet20]",
        "train.steps=6",
        "train.scenes=1",
        "train.checkpoint_every=2",
        "train.log_every=2",
    ]


@pytest.fixture(scope="session")
def outdoor() -> list[str]:
    """Settings of the data that `sweeps` holds, and of a network for it."""
    return [*OUTDOOR, "model.backbone=submanifold", "model.voxel_size=0.5", "model.width=0.5"]
