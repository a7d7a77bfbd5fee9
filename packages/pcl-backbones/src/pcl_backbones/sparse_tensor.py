"""A sparse tensor: voxels of a batch of scenes, with a feature vector each."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_backbones.coordinates import CoordinateLevels, check_coords


class SparseTensor:
    """Features on voxels.

    Args:
        coords: (b, x, y, z), the scene first; distinct, multiples of `stride`.
        features: one row for each voxel.
        stride: edge of a voxel in voxels of the input.

    Raises:
        ValueError: if shapes, devices, types or coordinates do not fit.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> SparseTensor(coords, torch.ones(2, 3))
        SparseTensor(2 voxels, 3 channels, stride 1)
    """

    def __init__(
        self, coords: Int[Tensor, "v 4"], features: Float[Tensor, "v c"], stride: int = 1
    ) -> None:
        if coords.ndim != 2 or coords.shape[1] != 4:
            raise ValueError(f"coords must have shape (v, 4), got {tuple(coords.shape)}")
        if coords.dtype != torch.int32:
            raise ValueError(f"coords must be int32, got {coords.dtype}")
        if features.ndim != 2 or len(features) != len(coords):
            raise ValueError(
                f"features must have shape ({len(coords)}, c), got {tuple(features.shape)}"
            )
        if features.device != coords.device:
            raise ValueError(f"features must be on {coords.device}, got {features.device}")
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        check_coords(coords)
        if bool((coords[:, 1:] % stride).any()):
            raise ValueError(f"coords must be multiples of the stride, got stride {stride}")
        self.features, self.stride = features, stride
        self.levels = CoordinateLevels(coords, stride)

    @property
    def coords(self) -> Int[Tensor, "v 4"]:
        """(b, x, y, z) of each voxel."""
        return self.levels.coords[self.stride]

    def with_features(
        self, features: Float[Tensor, "v c"], stride: int | None = None
    ) -> "SparseTensor":
        """Other features on these voxels, or on those of another known stride."""
        result = object.__new__(SparseTensor)
        result.features, result.levels = features, self.levels
        result.stride = self.stride if stride is None else stride
        return result

    def __repr__(self) -> str:
        v, c = self.features.shape
        return f"SparseTensor({v} voxels, {c} channels, stride {self.stride})"
