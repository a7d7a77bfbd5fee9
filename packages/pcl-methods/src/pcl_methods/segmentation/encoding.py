"""Networks as they stand: features of a scene's voxels, without training anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from pcl_backbones import SparseTensor
from pcl_data import Scene, VoxelGrid, voxel_labels
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.scene_grid import scene_grid


@runtime_checkable
class VoxelBackbone(Protocol):
    """A torch module that gives every voxel features; any U-Net of `pcl_backbones` is one."""

    feature_channels: int

    def features(self, x: SparseTensor, /) -> SparseTensor:
        """Features of the same voxels, in the same order."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of a torch module."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """Of a torch module."""
        ...

    def eval(self) -> nn.Module:
        """Of a torch module."""
        ...


class EncodedScene(NamedTuple):
    """A scene as a backbone sees it."""

    features: Tensor  # (v, c)
    labels: Tensor  # (v,) train ids, -1 unlabeled
    inverse: Tensor  # (n,) the voxel of each point


def encode_scene(
    backbone: VoxelBackbone, scene: Scene, *, voxel_size: float, features: FeatureKind = "colors"
) -> EncodedScene:
    """The features of a scene's voxels in evaluation mode, without augmentation.

    Args:
        backbone: does not change, nor does its mode.
        scene: points in metres, with the features that are asked for.
        voxel_size: metres.
        features: what the backbone reads (`point_features`).
    """
    grid = scene_grid(scene.points, voxel_size)
    with untouched(backbone):
        voxels = backbone.features(scene_voxels(scene, grid, features, device_of(backbone)))
    labels = scene.labels if scene.labels is not None else np.full(len(scene.points), -1)
    of_voxels = voxel_labels(labels, grid.inverse, len(grid.coords))
    return EncodedScene(
        voxels.features, torch.from_numpy(of_voxels), torch.from_numpy(grid.inverse)
    )


def scene_voxels(
    scene: Scene, grid: VoxelGrid, features: FeatureKind, device: torch.device
) -> SparseTensor:
    """A scene on voxels, as networks read it: a voxel has the features of its first point."""
    coords = torch.from_numpy(np.insert(grid.coords, 0, 0, axis=1)).to(device)
    rows = torch.from_numpy(point_features(scene, features)[grid.index]).to(device)
    return SparseTensor(coords, rows)


def device_of(module: nn.Module | VoxelBackbone) -> torch.device:
    """Where the parameters of a module are."""
    return next(module.parameters()).device


@contextmanager
def untouched(module: nn.Module | VoxelBackbone) -> Iterator[None]:
    """Evaluation mode without gradients, in full precision, also amid a training of another one.

    Modes and random numbers go on as if nothing was.
    """
    modes = {part: part.training for part in module.modules()}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    full = torch.autocast(device_of(module).type, enabled=False)
    with torch.random.fork_rng(devices), torch.no_grad(), full:
        torch.manual_seed(0)
        module.eval()
        yield
    for part, mode in modes.items():
        part.training = mode
