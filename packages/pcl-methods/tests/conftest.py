"""A small room and a small LiDAR sweep, for the tests of pcl_methods.segmentation."""

import pytest

from pcl_data import Scene
from pcl_methods.segmentation.testing import make_room, make_sweep


@pytest.fixture
def room() -> Scene:
    """Two chairs and two tables on a floor."""
    return make_room("room", 0)


@pytest.fixture
def sweep() -> Scene:
    """A car on a road."""
    return make_sweep("sweep", 1)
