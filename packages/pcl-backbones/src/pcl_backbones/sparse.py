"""Layers on sparse tensors, with the parameter names and shapes of MinkowskiEngine."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcl_backbones.coordinates import KernelMap
from pcl_backbones.engine import convolve
from pcl_backbones.sparse_tensor import SparseTensor


def kernel_map(tensor: SparseTensor, kernel_size: int, stride: int = 1) -> KernelMap:
    """The map of a convolution on `tensor`; found once for all tensors of a pass.

    Raises:
        ValueError: if kernel_size or stride is below 1.
    """
    for name, value in (("kernel_size", kernel_size), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return tensor.levels.kernel_map(tensor.stride, tensor.stride * stride, kernel_size)


class _Convolution(nn.Module):
    """Kernel and bias; kernels of size 1 drop the volume axis."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, bias: bool
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "kernel_size": kernel_size,
            "stride": stride,
        }
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = kernel_size, stride
        volume = kernel_size**3
        shape = (volume, in_channels, out_channels) if volume > 1 else (in_channels, out_channels)
        self.kernel = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(1, out_channels)) if bias else None
        self.reset_parameters()

    def _fan(self) -> int:
        return self.in_channels * self.kernel_size**3

    def reset_parameters(self) -> None:
        """Uniform in ±1/sqrt(fan), MinkowskiEngine's default."""
        bound = 1 / math.sqrt(self._fan())
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _check(self, tensor: SparseTensor) -> None:
        if tensor.features.shape[1] != self.in_channels:
            raise ValueError(
                f"features must have {self.in_channels} channels, got {tensor.features.shape[1]}"
            )

    def _add_bias(self, features: Tensor) -> Tensor:
        return features if self.bias is None else features + self.bias

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, bias={self.bias is not None}"
        )


class Conv3d(_Convolution):
    """Cross-correlation :math:`y_u = \\sum_k x_{u + s o_k} W_k` on existing voxels.

    With stride 1 the output voxels are the input's; with stride s they are
    floor(c / (s ts)) (s ts) of the input's, ts the input's stride.

    Args:
        in_channels: columns of the input.
        out_channels: columns of the output.
        kernel_size: edge of the kernel in voxels of the input.
        stride: edge of an output voxel in voxels of the input.
        bias: whether a constant is added.

    Raises:
        ValueError: if a size is below 1, or the input has another number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Convolve."""
        self._check(tensor)
        if self.kernel_size == 1 and self.stride == 1:
            return tensor.with_features(self._add_bias(tensor.features @ self.kernel))
        neighbours = kernel_map(tensor, self.kernel_size, self.stride)
        kernel = self.kernel if self.kernel.ndim == 3 else self.kernel[None]
        features = self._add_bias(convolve(tensor.features, kernel, neighbours))
        return tensor.with_features(features, tensor.stride * self.stride)


class ConvTranspose3d(_Convolution):
    """The map of `Conv3d` with input and output exchanged: back to the stored finer voxels.

    Args:
        in_channels: columns of the input.
        out_channels: columns of the output.
        kernel_size: edge of the kernel in voxels of the output.
        stride: edge of an input voxel in voxels of the output.
        bias: whether a constant is added.

    Raises:
        ValueError: if a size is below 1, the input has another number of channels, or no finer
            voxels are known: a strided convolution must have made the input.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias)

    def _fan(self) -> int:
        return self.out_channels * self.kernel_size**3

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Convolve."""
        self._check(tensor)
        finer, rest = divmod(tensor.stride, self.stride)
        if rest or finer not in tensor.levels.coords:
            raise ValueError(
                f"stride must lead back to known voxels, got {self.stride} at {tensor.stride}"
            )
        neighbours = tensor.levels.kernel_map(finer, tensor.stride, self.kernel_size).transposed()
        kernel = self.kernel if self.kernel.ndim == 3 else self.kernel[None]
        features = self._add_bias(convolve(tensor.features, kernel, neighbours))
        return tensor.with_features(features, finer)


class BatchNorm(nn.Module):
    """Batch normalisation over all voxels of the batch; torch's momentum convention."""

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(channels, momentum=momentum)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Normalise."""
        return tensor.with_features(self.bn(tensor.features))


class ReLU(nn.Module):
    """Rectified linear unit."""

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Clip at zero."""
        return tensor.with_features(tensor.features.relu())


class MaxPool3d(nn.Module):
    """Maximum over the voxels of each kernel that exist.

    Args:
        kernel_size: edge of the kernel in voxels of the input.
        stride: edge of an output voxel in voxels of the input.
    """

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Pool."""
        neighbours = kernel_map(tensor, self.kernel_size, self.stride)
        rows, out = torch.cat(neighbours.in_rows), torch.cat(neighbours.out_rows)
        lowest = tensor.features.new_full((neighbours.n_out, tensor.features.shape[1]), -math.inf)
        index = out[:, None].expand(-1, tensor.features.shape[1])
        pooled = lowest.scatter_reduce(0, index, tensor.features[rows], "amax")
        return tensor.with_features(pooled, tensor.stride * self.stride)


class Pooled(NamedTuple):
    """One row for each group."""

    maximum: Tensor  # (m, c)
    mean: Tensor  # (m, c)


class GlobalPool(nn.Module):
    """Maximum and mean over the voxels of each scene."""

    def forward(self, tensor: SparseTensor, n_scenes: int) -> Pooled:
        """Pool; a scene without voxels gets zeros."""
        scene = tensor.coords[:, 0].long()
        v, c = tensor.features.shape
        index = scene[:, None].expand(v, c)
        zeros = tensor.features.new_zeros(n_scenes, c)
        maximum = zeros.scatter_reduce(0, index, tensor.features, "amax", include_self=False)
        counts = torch.bincount(scene, minlength=n_scenes).clamp(min=1)
        mean = zeros.index_add(0, scene, tensor.features) / counts[:, None]
        return Pooled(maximum, mean)


def cat(tensors: Sequence[SparseTensor]) -> SparseTensor:
    """Tensors on the same voxels side by side, channels in the order given.

    Raises:
        ValueError: if the tensors are not of one pass and one stride.
    """
    first = tensors[0]
    for tensor in tensors[1:]:
        if tensor.levels is not first.levels or tensor.stride != first.stride:
            raise ValueError(
                "tensors must lie on the same voxels of one pass, "
                f"got strides {first.stride} and {tensor.stride}"
            )
    features: Float[Tensor, "v c"] = torch.cat([tensor.features for tensor in tensors], dim=1)
    return first.with_features(features)
