"""Six small rooms, two of them labeled, and networks that read them in milliseconds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pcl_data import SCANNET20
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.testing import make_room
from pcl_methods.self_training.networks import TwistModel, build_recorrector
from pcl_methods.self_training.proposals import Clustering

VOXEL_SIZE = 0.08
CLUSTERING = Clustering(radius=1.5 * VOXEL_SIZE, min_points=5)


@pytest.fixture(scope="session")
def split() -> SceneSplit:
    """Rooms 0 and 1 are labeled, room 5 is held out."""
    rooms = {f"scene{index}": make_room(f"scene{index}", index) for index in range(6)}
    names = tuple(rooms)
    budget = LabelBudget("lr-2", names[:2])
    return SceneSplit("rooms", SCANNET20, names[:5], names[5:], budget, rooms.__getitem__)


@pytest.fixture(scope="session")
def make_model() -> Callable[..., TwistModel]:
    """Makes a model with the same weights each time."""

    def make(**settings: Any) -> TwistModel:
        torch.manual_seed(0)
        backbone = build_backbone("res16unet14a", 3, width=0.25)
        network = SegmentationNetwork(backbone, SCANNET20.n_classes)
        channels = backbone.feature_channels
        recorrector = build_recorrector(channels, SCANNET20.n_classes, voxel_size=VOXEL_SIZE)
        settings = {"voxel_size": VOXEL_SIZE, "clustering": CLUSTERING} | settings
        return TwistModel(network, recorrector, SCANNET20, **settings)

    return make


@pytest.fixture
def model(make_model) -> TwistModel:
    """Φ and Ψ with fresh weights."""
    return make_model()
