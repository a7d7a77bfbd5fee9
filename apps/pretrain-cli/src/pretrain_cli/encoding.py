"""Networks as they stand: features of a scene's voxels, without training anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pcl_appkit.segmentation.features import FeatureKind, point_features
from pcl_appkit.segmentation.network import Backbone
from pcl_backbones import SparseTensor
from pcl_data import Scene, voxel_labels, voxelize


class EncodedScene(NamedTuple):
    """A scene as a backbone sees it."""

    features: Tensor  # (v, c)
    labels: Tensor  # (v,) train ids, -1 unlabelled
    inverse: Tensor  # (n,) the voxel of each point


def encode_scene(
    backbone: Backbone, scene: Scene, *, voxel_size: float, features: FeatureKind
) -> EncodedScene:
    """The features of a scene's voxels in evaluation mode, without augmentation."""
    device = next(backbone.parameters()).device
    grid = voxelize(scene.points, voxel_size)
    coords = torch.from_numpy(np.insert(grid.coords, 0, 0, axis=1)).to(device)
    inputs = torch.from_numpy(point_features(scene, features)[grid.index]).to(device)
    with untouched(backbone):
        voxels = backbone.features(SparseTensor(coords, inputs)).features
    labels = scene.labels if scene.labels is not None else np.full(len(scene.points), -1)
    of_voxels = voxel_labels(labels, grid.inverse, len(grid.coords))
    return EncodedScene(voxels, torch.from_numpy(of_voxels), torch.from_numpy(grid.inverse))


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
