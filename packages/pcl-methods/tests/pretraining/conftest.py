"""Small rooms, some with camera frames, and a small backbone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from pcl_backbones import Res16UNet14A
from pcl_data import Frame, Scene
from pcl_methods.pretraining.views import Views, collate_views
from pcl_methods.segmentation.testing import make_room

INTRINSICS = np.array([[30.0, 0, 19.5], [0, 30, 14.5], [0, 0, 1]])


@pytest.fixture(scope="session")
def rooms() -> dict[str, Scene]:
    return {f"room{i}": make_room(f"room{i}", i) for i in range(6)}


@pytest.fixture
def backbone() -> Res16UNet14A:
    torch.manual_seed(0)
    return Res16UNet14A(3, None, width=0.25)


@pytest.fixture
def batch_of(rooms) -> Callable[..., dict]:
    """A batch of the views of the first rooms."""

    def make(make_views: Callable[..., Views], n_scenes: int = 2) -> dict:
        rng = np.random.default_rng(0)
        scenes = [rooms[f"room{i}"] for i in range(n_scenes)]
        return collate_views([make_views(scene, rng) for scene in scenes])

    return make


@pytest.fixture(scope="session")
def filmed(rooms) -> dict[str, Scene]:
    """Rooms with three frames each, of which two overlap."""
    found = {}
    for index, (name, room) in enumerate(rooms.items()):
        rng = np.random.default_rng(index)
        found[name] = replace(room, frames=tuple(_frame(x, rng) for x in (1.0, 1.3, 8.0)))
    return found


def _frame(x: float, rng: np.random.Generator) -> Frame:
    """A camera 2 m above (x, 1.5) that looks straight down on a rough floor."""
    image = rng.integers(0, 255, (30, 40, 3)).astype(np.uint8)
    depth = 2 + 0.2 * rng.random((30, 40), dtype=np.float32)
    pose = np.array([[1.0, 0, 0, x], [0, -1, 0, 1.5], [0, 0, -1, 2], [0, 0, 0, 1]])
    return Frame(image, depth, INTRINSICS, pose)
