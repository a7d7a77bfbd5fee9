"""Batch norms that know whole scenes, of a backbone that learned from parts of them."""

from collections.abc import Iterable
from copy import deepcopy
from typing import TypeVar

from torch import nn
from torch.optim.swa_utils import update_bn

from pcl_backbones import SparseTensor
from pcl_data import Scene
from pcl_methods.segmentation.encoding import VoxelBackbone, device_of, scene_voxels
from pcl_methods.segmentation.features import FeatureKind
from pcl_methods.segmentation.scene_grid import scene_grid

T = TypeVar("T", bound=VoxelBackbone)


def fit_norms(
    backbone: T, scenes: Iterable[Scene], *, voxel_size: float, features: FeatureKind = "colors"
) -> T:
    """A copy of a backbone whose batch norms have the mean statistics of whole scenes.

    The student of SSPL sees a tenth of each volume, and its batch norms know nothing else. What
    they knew before does not count here: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021,
    section 3 (PreciseBN).

    Args:
        backbone: stays as it is.
        scenes: some that it learned from; twenty are enough.
        voxel_size: metres.
        features: what the backbone reads.
    """
    backbone = deepcopy(backbone)
    device = device_of(backbone)
    voxels = (
        scene_voxels(scene, scene_grid(scene.points, voxel_size), features, device)
        for scene in scenes
    )
    update_bn(voxels, _Features(backbone))
    return backbone


class _Features(nn.Module):
    """A backbone without the layers after its features."""

    def __init__(self, backbone: VoxelBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, voxels: SparseTensor) -> SparseTensor:
        return self.backbone.features(voxels)
