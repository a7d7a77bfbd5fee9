"""Views whose voxels match: of two camera frames that overlap, or cut from one scene.

Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene Contexts", CVPR
2021 (`ddp_data_loaders.py`), without its color jitter of a hundredth of a gray level. Where
nothing matches the published loader invents a match; here there is none, and `ViewBatches` draws
another pair.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from pcl_data import Scene, augmentation, voxelize
from pcl_data.pairs import correspondences, cut_views
from pcl_methods.pretraining.views import View, Views, part_of, turned, voxel_view
from pcl_methods.segmentation.features import FeatureKind

MATCH_RADIUS = 1.5  # voxels


@dataclass(frozen=True)
class MatchedViews:
    """Two overlapping clouds of one scene, each turned on its own; groups are matching voxels.

    Args:
        voxel_size: metres.
        features: what the backbone reads.
        augmentation: `published`: each view is turned. `strong`: also mirrored, scaled, and its
            colors changed, as in the downstream tasks: equal colors in both views tell matching
            points by themselves (Wu et al., "Masked Scene Contrast", CVPR 2023).
    """

    voxel_size: float = 0.025
    features: FeatureKind = "colors"
    augmentation: Literal["published", "strong"] = "published"

    def __call__(self, pair: tuple[Scene, Scene], rng: Generator) -> Views:
        """The views of two clouds in the coordinates of one scene."""
        first, second = (self._view(cloud, rng) for cloud in pair)
        radius = MATCH_RADIUS * self.voxel_size
        matches = correspondences(first["points"], second["points"], radius=radius)
        for view, rows in zip((first, second), matches.T, strict=True):
            view |= {"rows": rows, "groups": np.arange(len(rows))}
        return first, second

    def _view(self, cloud: Scene, rng: Generator) -> View:
        is_strong = self.augmentation == "strong"
        turn = augmentation.random_linear_map if is_strong else augmentation.random_rotation
        grid = voxelize(turned(cloud.points, turn(rng)), self.voxel_size)
        view = voxel_view(cloud, grid.coords, grid.index, self.features)
        if is_strong and self.features == "colors":
            half = np.float32(0.5)
            view["features"] = augmentation.chromatic_changes(view["features"] + half, rng) - half
        return view


@dataclass(frozen=True)
class CutViews:
    """Two overlapping views cut from a scene, where there are no camera frames (`cut_views`).

    Args:
        matched: what is made of the two pieces.
        size: share of the scene that a piece has.
    """

    matched: MatchedViews = MatchedViews()
    size: float = 0.5

    def __call__(self, scene: Scene, rng: Generator) -> Views:
        """The views of a scene."""
        cut = cut_views(scene.points, rng, size=self.size)
        return self.matched((part_of(scene, cut.index_a), part_of(scene, cut.index_b)), rng)
