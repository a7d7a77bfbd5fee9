"""Matching points against other points: PointContrast and Contrastive Scene Contexts.

Xie et al., "PointContrast", ECCV 2020; Hou et al., "Exploring Data-Efficient 3D Scene Understanding
with Contrastive Scene Contexts" (CSC), CVPR 2021.
"""

import torch
from torch import Tensor

from pcl_backbones import SemanticHead
from pcl_contrastive import (
    hardest_contrastive_loss,
    point_info_nce,
    sample_matches,
    scene_context_loss,
)
from pcl_methods.pretraining.objective import Batch, Compared, Losses, Objective, encode_view
from pcl_methods.pretraining.views import VIEWS
from pcl_methods.segmentation.encoding import VoxelBackbone


class PointContrast(Objective):
    """PointContrast: each point of a match against those of other matches (PointInfoNCE).

    Args:
        backbone: what is pre-trained.
        channels: of the contrasted features.
        temperature: of the loss.
        n_matches: of a scene and step; of more, so many are drawn.
    """

    def __init__(
        self,
        backbone: VoxelBackbone,
        *,
        channels: int = 32,
        temperature: float = 0.4,
        n_matches: int = 4096,
    ) -> None:
        super().__init__(backbone)
        self.projection = SemanticHead(backbone.feature_channels, channels)
        self.temperature, self.n_matches = temperature, n_matches

    def forward(self, batch: Batch, step: int) -> Losses:
        """The mean over scenes of the loss of their matches."""
        first, second = self._features(batch)
        points = batch["first"]["points"]
        scenes = [
            self.scene_loss(first, second, points, self._matches(batch, scene))
            for scene in range(int(batch["scene"].max()) + 1)
        ]
        return {"loss": torch.stack(scenes).mean()}

    def scene_loss(self, first: Tensor, second: Tensor, points: Tensor, matches: Tensor) -> Tensor:
        """The loss of a scene.

        Args:
            first: (v, c) features of the first view's voxels.
            second: (w, c) features of the second view's voxels.
            points: (v, 3) of the first view, in the coordinates of the scene, metres.
            matches: (k, 2) voxels of the two views that match in the scene.
        """
        rows, others = sample_matches(matches, self.n_matches).T
        return self.points_loss(first[rows], second[others], points[rows])

    def points_loss(self, queries: Tensor, keys: Tensor, points: Tensor) -> Tensor:
        """The loss of matches that are drawn, of which `points` are those of the queries."""
        return point_info_nce(queries, keys, temperature=self.temperature)

    def compared(self, batch: Batch) -> Compared:
        """Matching points of the first scene."""
        features = self._features(batch)
        matches = sample_matches(self._matches(batch, 0), self.n_matches)
        queries, keys = (one[rows] for one, rows in zip(features, matches.T, strict=True))
        return Compared(queries, keys, self.temperature)

    def _features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        first, second = (
            self.projection(encode_view(self.backbone, batch[view])).features for view in VIEWS
        )
        return first, second

    def _matches(self, batch: Batch, scene: int) -> Tensor:
        """Voxels of the two views that match in a scene, (k, 2)."""
        rows = batch["scene"] == scene
        return torch.stack([batch[view]["rows"][rows] for view in VIEWS], dim=1)


class HardestPointContrast(PointContrast):
    """PointContrast with its other loss, the hardest-contrastive one.

    Its temperature and number of matches are those of the health panel alone.
    """

    def scene_loss(self, first: Tensor, second: Tensor, points: Tensor, matches: Tensor) -> Tensor:
        """The hardest-contrastive loss of a scene."""
        return hardest_contrastive_loss(first, second, matches).loss


class SceneContexts(PointContrast):
    """CSC (Eq. 3): each point against those of one part of its surroundings at a time.

    Args:
        backbone: what is pre-trained.
        channels: of the contrasted features.
        temperature: of the loss.
        n_matches: of a scene and step.
        n_partitions: parts of a point's surroundings.
        inner_radius: metres; nearer points are no negatives.
        outer_radius: metres, between the near and the far parts.
    """

    def __init__(
        self,
        backbone: VoxelBackbone,
        *,
        channels: int = 32,
        temperature: float = 0.4,
        n_matches: int = 4096,
        n_partitions: int = 8,
        inner_radius: float = 0.05,
        outer_radius: float = 0.5,
    ) -> None:
        super().__init__(backbone, channels=channels, temperature=temperature, n_matches=n_matches)
        self.n_partitions = n_partitions
        self.inner_radius, self.outer_radius = inner_radius, outer_radius

    def points_loss(self, queries: Tensor, keys: Tensor, points: Tensor) -> Tensor:
        """Eq. 3 of matches that are drawn."""
        return scene_context_loss(
            queries,
            keys,
            points,
            temperature=self.temperature,
            n_partitions=self.n_partitions,
            inner_radius=self.inner_radius,
            outer_radius=self.outer_radius,
        )
