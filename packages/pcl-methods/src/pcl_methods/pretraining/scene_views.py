"""Views of a whole scene, by the recipe of DepthContrast.

Zhang et al., "Self-Supervised Pretraining of 3D Features on any Point-Cloud", ICCV 2021
(`augment3d.py`): a cuboid of at least 10,000 points is kept, a small one of it dropped, and of the
rest a random 5,000 to 20,000 points stay. A smaller scene stays whole. Turned about z, as SSPL does
where it compares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pcl_data import Scene
from pcl_methods.pretraining.views import View, Views, grouped_view, part_of
from pcl_methods.segmentation.features import FeatureKind

KEPT = (0.5, 1.0)  # edges of the cuboid that a view keeps, of the scene's extent
ASPECT = 0.75  # least share of the shortest of these in the longest
MIN_KEPT = 10_000  # points in it
N_CUBOIDS = 100  # cuboids that are drawn before all is kept
DROPPED = 0.2  # edges of the cuboid that a view loses, of the one that it keeps
COUNTS = (5_000, 10_000, 15_000, 20_000)  # points that stay at most, one of these


@dataclass(frozen=True)
class SceneViews:
    """Two augmentations of a whole scene, which is the one group.

    Args:
        voxel_size: metres.
        features: what the backbone reads.
    """

    voxel_size: float = 0.025
    features: FeatureKind = "colors"

    def __call__(self, scene: Scene, rng: Generator) -> Views:
        """The views of a scene."""
        return self._view(scene, rng), self._view(scene, rng)

    def _view(self, scene: Scene, rng: Generator) -> View:
        rows = cuboid_rows(scene.points, rng)
        count = min(len(rows), int(rng.choice(COUNTS)))
        part = part_of(scene, np.sort(rng.choice(rows, count, replace=False)))
        return grouped_view(
            part,
            np.zeros(len(part.points), np.int64),
            rng,
            voxel_size=self.voxel_size,
            features=self.features,
        )


def cuboid_rows(points: np.ndarray, rng: Generator) -> np.ndarray:
    """Points of a random cuboid but for those of a smaller one in it."""
    columns = np.ascontiguousarray(points.T)  # numpy is slow on rows of three
    low, extent = columns.min(axis=1), np.ptp(columns, axis=1)
    for _ in range(N_CUBOIDS):
        shares = rng.uniform(*KEPT, 3)
        if shares.min() < ASPECT * shares.max():
            continue
        size = extent * shares
        start = low + (extent - size) * rng.random(3)
        hole = start + size * (1 - DROPPED) * rng.random(3)
        kept = _inside(columns, start, size) & ~_inside(columns, hole, size * DROPPED)
        if np.count_nonzero(kept) >= MIN_KEPT:
            return np.flatnonzero(kept)
    return np.arange(len(points))


def _inside(columns: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    end = start + size
    return ((columns >= start[:, None]) & (columns <= end[:, None])).all(axis=0)
