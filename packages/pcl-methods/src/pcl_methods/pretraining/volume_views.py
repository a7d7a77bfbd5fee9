"""The views of SSPL: of every volume of a scene a small crop in one, a large one in the other.

Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds", NeurIPS 2022, section 3.1.
"""

from dataclasses import dataclass

import torch
from numpy.random import Generator
from torch import Tensor

from pcl_contrastive import crop_volumes, split_volumes
from pcl_data import Scene, voxelize
from pcl_methods.pretraining.views import View, Views, grouped_view, part_of
from pcl_methods.segmentation.features import FeatureKind


@dataclass(frozen=True)
class VolumeViews:
    """Two augmentations of a scene's volumes; groups are volumes.

    Args:
        voxel_size: metres.
        features: what the backbone reads.
        volume_size: metres; the paper has 4 m for LiDAR.
        max_volumes: of a scene; of more, so many are drawn.
        min_points: volumes of fewer are left out.
        student_crop: share of a volume's points in the first view ("local crop").
        teacher_crop: the same for the second ("global crop").
    """

    voxel_size: float = 0.025
    features: FeatureKind = "colors"
    volume_size: tuple[float, float, float] = (0.65, 0.65, 0.65)
    max_volumes: int = 400
    min_points: int = 10
    student_crop: float = 0.1
    teacher_crop: float = 0.5

    def __call__(self, scene: Scene, rng: Generator) -> Views:
        """The views of a scene.

        Raises:
            ValueError: if no volume has so many points.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        scene = part_of(scene, voxelize(scene.points, self.voxel_size / 2).index)  # thinned
        points = torch.from_numpy(scene.points)
        volumes = self._volumes(scene, points, generator)

        def view(fraction: float) -> View:
            rows = crop_volumes(points, volumes, fraction=fraction, generator=generator).numpy()
            crop, groups = part_of(scene, rows), volumes.numpy()[rows]
            return grouped_view(
                crop, groups, rng, voxel_size=self.voxel_size, features=self.features
            )

        return view(self.student_crop), view(self.teacher_crop)

    def _volumes(self, scene: Scene, points: Tensor, generator: torch.Generator) -> Tensor:
        """The volume of each point, (n,), -1 none."""
        volumes = split_volumes(
            points,
            volume_size=self.volume_size,
            max_volumes=self.max_volumes,
            min_points=self.min_points,
            generator=generator,
        )
        if int(volumes.max()) < 0:
            raise ValueError(
                f"scene {scene.name} must have a volume of at least min_points={self.min_points} "
                "points, got none"
            )
        return volumes
