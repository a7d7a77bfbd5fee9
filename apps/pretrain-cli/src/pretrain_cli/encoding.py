"""Networks as they stand: features of a scene's voxels, without training anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from pcl_backbones import SparseTensor
from pcl_data import Scene, VoxelGrid, voxel_labels, voxelize
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.network import Backbone
from pretrain_cli.config import PretrainConfig
from pretrain_cli.worlds import World, spread

NORM_SCENES = 20  # that batch norms are fitted to


class EncodedScene(NamedTuple):
    """A scene as a backbone sees it."""

    features: Tensor  # (v, c)
    labels: Tensor  # (v,) train ids, -1 unlabelled
    inverse: Tensor  # (n,) the voxel of each point


def encode_scene(
    backbone: Backbone, scene: Scene, *, voxel_size: float, features: FeatureKind
) -> EncodedScene:
    """The features of a scene's voxels in evaluation mode, without augmentation."""
    grid = voxelize(scene.points, voxel_size)
    with untouched(backbone):
        voxels = backbone.features(_network_input(backbone, scene, grid, features)).features
    labels = scene.labels if scene.labels is not None else np.full(len(scene.points), -1)
    of_voxels = voxel_labels(labels, grid.inverse, len(grid.coords))
    return EncodedScene(voxels, torch.from_numpy(of_voxels), torch.from_numpy(grid.inverse))


def finished_backbone(backbone: Backbone, config: PretrainConfig, world: World) -> Backbone:
    """The backbone as it leaves pre-training.

    The student of SSPL sees a tenth of each volume, and its batch norms know nothing else: a copy
    gets the statistics of whole scenes, as in Wu and Johnson, "Rethinking 'Batch' in BatchNorm",
    2021, sec. 3 (PreciseBN).
    """
    if config.method != "sspl":
        return backbone
    backbone = deepcopy(backbone)
    scenes = (world.load(name) for name in spread(world.training, NORM_SCENES))
    size, features = config.model.voxel_size, config.data.features
    update_bn(
        (_network_input(backbone, one, voxelize(one.points, size), features) for one in scenes),
        backbone,
    )
    return backbone


def _network_input(
    backbone: Backbone, scene: Scene, grid: VoxelGrid, features: FeatureKind
) -> SparseTensor:
    device = next(backbone.parameters()).device
    coords = torch.from_numpy(np.insert(grid.coords, 0, 0, axis=1)).to(device)
    rows = torch.from_numpy(point_features(scene, features)[grid.index]).to(device)
    return SparseTensor(coords, rows)


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; modes and random numbers go on as if nothing was."""
    modes = {part: part.training for part in module.modules()}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(0)
        module.eval()
        yield
    for part, mode in modes.items():
        part.training = mode
