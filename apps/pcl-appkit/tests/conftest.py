"""A small room and a small LiDAR sweep, for the tests of pcl_appkit.segmentation."""

import numpy as np
import pytest

from pcl_data import SCANNET20, SEMANTICKITTI19, Scene

FLOOR, CHAIR, TABLE = (SCANNET20.names.index(name) for name in ("floor", "chair", "table"))
CORNERS = ((0.3, 0.3, 0.05), (2.0, 0.4, 0.05), (0.4, 2.0, 0.05), (2.0, 2.0, 0.05))


@pytest.fixture
def room() -> Scene:
    """A floor of 3 x 3 m with two chairs and two tables, 400 points each."""
    rng = np.random.default_rng(0)
    points = [rng.uniform((0, 0, 0), (3, 3, 0.01), (1500, 3))]
    labels, instances = [np.full(1500, FLOOR)], [np.full(1500, -1)]
    for instance, corner in enumerate(CORNERS):
        label, size = ((CHAIR, (0.4, 0.4, 0.8)), (TABLE, (0.7, 0.6, 0.5)))[instance % 2]
        points.append(rng.uniform(0, size, (400, 3)) + corner)
        labels.append(np.full(400, label))
        instances.append(np.full(400, instance))
    points = np.concatenate(points).astype(np.float32)
    return Scene(
        "room",
        points,
        colors=rng.integers(0, 256, (len(points), 3), np.uint8),
        labels=np.concatenate(labels),
        instances=np.concatenate(instances),
        label_set=SCANNET20,
    )


@pytest.fixture
def sweep() -> Scene:
    """Ground of two classes with intensities, no colours and no instances."""
    rng = np.random.default_rng(1)
    points = rng.uniform((-20, -20, -2), (20, 20, -1.9), (2000, 3)).astype(np.float32)
    return Scene(
        "sweep",
        points,
        labels=np.where(points[:, 0] > 0, 8, 10),
        intensity=rng.random(2000, np.float32),
        label_set=SEMANTICKITTI19,
    )
