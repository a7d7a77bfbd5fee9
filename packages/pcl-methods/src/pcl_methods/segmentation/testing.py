"""Scenes for tests that a network learns in seconds: boxes of two classes on a ground."""

import numpy as np

from pcl_data import SCANNET20, SEMANTICKITTI19, Scene

FLOOR, CHAIR, TABLE = (SCANNET20.names.index(name) for name in ("floor", "chair", "table"))
ROAD, CAR = (SEMANTICKITTI19.names.index(name) for name in ("road", "car"))
COLORS = {FLOOR: (90, 90, 90), CHAIR: (200, 60, 60), TABLE: (60, 60, 200)}
CORNERS = ((0.3, 0.3), (2.0, 0.4), (0.4, 2.0), (2.0, 2.0))


def make_room(name: str, seed: int) -> Scene:
    """A floor of 3 x 3 m with two chairs and two tables, 400 points each, in noisy colours.

    Example:
        >>> len(make_room("room", 0).points)
        3100
    """
    rng = np.random.default_rng(seed)
    points: list[np.ndarray] = [rng.uniform((0, 0, 0), (3, 3, 0.01), (1500, 3))]
    labels, instances = [np.full(1500, FLOOR)], [np.full(1500, -1)]
    for instance, corner in enumerate(CORNERS):
        label = CHAIR if instance % 2 == 0 else TABLE
        size = (0.4, 0.4, 0.8) if label == CHAIR else (0.7, 0.6, 0.5)
        offset = (*(np.array(corner) + rng.uniform(-0.1, 0.1, 2)), 0.05)
        points.append(rng.uniform(0, size, (400, 3)) + offset)
        labels.append(np.full(400, label))
        instances.append(np.full(400, instance))
    of_points = np.concatenate(labels)
    noise = rng.integers(-20, 20, (len(of_points), 3))
    return Scene(
        name,
        np.concatenate(points).astype(np.float32),
        colors=(np.array([COLORS[label] for label in of_points]) + noise).astype(np.uint8),
        labels=of_points.astype(np.int64),
        instances=np.concatenate(instances).astype(np.int64),
        label_set=SCANNET20,
    )


def make_sweep(name: str, seed: int) -> Scene:
    """A road of 40 x 40 m with a car on it: intensity, no colours and no instances."""
    rng = np.random.default_rng(seed)
    road = rng.uniform((-20, -20, 0), (20, 20, 0.1), (3000, 3))
    place = (*rng.uniform(-10, 10, 2), 0)
    car = rng.uniform((0, 0, 0), (4, 2, 1.5), (600, 3)) + place
    return Scene(
        name,
        np.concatenate([road, car]).astype(np.float32),
        intensity=np.repeat([0.2, 0.8], (3000, 600)).astype(np.float32),
        labels=np.repeat([ROAD, CAR], (3000, 600)).astype(np.int64),
        label_set=SEMANTICKITTI19,
    )
