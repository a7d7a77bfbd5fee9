"""Layers on sparse tensors: convolution, normalisation, pooling.

Choy et al., "4D Spatio-Temporal ConvNets", CVPR 2019, eq. 3: out[u] = sum_i x[u + s i] W_i over
occupied voxels, a row vector times a matrix, without a flip. Parameters carry the names and
shapes of MinkowskiEngine's, so that published weights fit.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcl_backbones.coordinates import KernelMap
from pcl_backbones.engine import convolve
from pcl_backbones.epilogue import Epilogue
from pcl_backbones.sparse_tensor import SparseTensor


def kernel_map(x: SparseTensor, kernel_size: int, stride: int = 1) -> KernelMap:
    """Which row of x meets which output row in each slot of a kernel.

    Slots are in HYPERCUBE order, x fastest: (dx + 1) + 3 (dy + 1) + 9 (dz + 1) for size 3, and
    dx + 2 dy + 4 dz for size 2. Outputs of a strided kernel lie at floor(c / s) s.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 3, 0, 0]], dtype=torch.int32)
        >>> found = kernel_map(SparseTensor(coords, torch.ones(1, 1)), 2, stride=2)
        >>> [len(pair[0]) for pair in found.pairs]  # 3 = 2 + 1: slot 1
        [0, 1, 0, 0, 0, 0, 0, 0]
    """
    return x._cache.kernel_map(x.stride, kernel_size, stride)


def cat(tensors: Sequence[SparseTensor]) -> SparseTensor:
    """Channels side by side, in the order given.

    Raises:
        ValueError: if there is no tensor, or they do not share their voxels and their order, or
            their device.
    """
    if not tensors:
        raise ValueError("tensors must hold at least one tensor, got 0")
    first = tensors[0]
    for other in tensors[1:]:
        devices = first.features.device, other.features.device
        if devices[0] != devices[1]:
            raise ValueError(f"tensors must be on one device, got {devices[0]} and {devices[1]}")
        same = other._cache is first._cache or torch.equal(other.coords, first.coords)
        if other.stride != first.stride or not same:
            raise ValueError(f"tensors must share their coords, got {first} and {other}")
    return first.with_features(torch.cat([x.features for x in tensors], dim=1))


class _Convolution(nn.Module):
    """Kernel and bias, uniform in +-1 / sqrt(fan); a kernel of size 1 has no slot axis."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        arguments = {"in_channels": in_channels, "out_channels": out_channels}
        for name, value in (arguments | {"kernel_size": kernel_size, "stride": stride}).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.kernel_size, self.stride = kernel_size, stride
        shape = (in_channels, out_channels)
        self.kernel = nn.Parameter(
            torch.empty(shape if kernel_size == 1 else (kernel_size**3, *shape))
        )
        self.bias = nn.Parameter(torch.empty(1, out_channels)) if bias else None
        bound = (self._fan_channels() * kernel_size**3) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _fan_channels(self) -> int:
        return self.kernel.shape[-2]

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features of the output voxels; rows of a strided output are in raster order."""
        out = self.multiply(x)
        return out if self.bias is None else out.with_features(out.features + self.bias)

    def multiply(self, x: SparseTensor, epilogue: Epilogue | None = None) -> SparseTensor:
        """The convolution without the bias, then what follows it."""
        kernel = self.kernel  # once: with `add_lora` reading it computes it
        n_channels = kernel.shape[-2]
        if x.features.shape[1] != n_channels:
            raise ValueError(f"x must have {n_channels} channels, got {x.features.shape[1]}")
        if self.kernel_size == self.stride == 1:
            if epilogue is None:
                return x.with_features(x.features @ kernel)
            epilogue.check(len(x), kernel.shape[-1])
            return x.with_features(epilogue.finish(x.features @ (kernel * epilogue.scale)))
        found, stride = self._find(x)
        kernel = kernel if kernel.ndim == 3 else kernel.unsqueeze(0)
        rows = convolve(x.features, kernel, found, epilogue)
        return SparseTensor._derived(x._cache, rows, stride)

    def _find(self, x: SparseTensor) -> tuple[KernelMap, int]:
        """The kernel map and the stride of the output."""
        return kernel_map(x, self.kernel_size, self.stride), x.stride * self.stride

    def extra_repr(self) -> str:
        """Sizes, for print(module)."""
        sizes = f"{self.kernel.shape[-2]}, {self.kernel.shape[-1]}, {self.kernel_size}"
        return f"{sizes}, stride={self.stride}, bias={self.bias is not None}"


class Conv3d(_Convolution):
    """Convolution at the occupied voxels; stride 1 keeps them, stride s merges them to s cells.

    `kernel` is (slots, in, out), or (in, out) for size 1; `bias` is (1, out). HYPERCUBE order.

    Raises:
        ValueError: if a size is below 1, or the input has other channels.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> Conv3d(3, 8, kernel_size=2, stride=2)(SparseTensor(coords, torch.ones(2, 3)))
        SparseTensor(1 voxels, 8 channels, stride 2)
    """


class ConvTranspose3d(_Convolution):
    """Convolution back to the finer voxels that a strided one came from.

    Uses the map of that strided convolution with input and output exchanged: a fine voxel at
    coarse + offset_i receives x[coarse] W_i. Rows are those of the finer level.

    Raises:
        ValueError: if a size is below 1, the input has other channels, or its pass has no finer
            level.
    """

    def _fan_channels(self) -> int:
        return self.kernel.shape[-1]

    def _find(self, x: SparseTensor) -> tuple[KernelMap, int]:
        stride, rest = divmod(x.stride, self.stride)
        if rest or stride not in x._cache.levels:
            raise ValueError(f"x must come from a tensor {self.stride} times finer, got {x}")
        return x._cache.kernel_map(stride, self.kernel_size, self.stride).transposed, stride


class BatchNorm(nn.Module):
    """Batch normalisation over all voxels of the batch.

    A single row has no variance: when training, it is normalised by the running statistics,
    which stay as they are.

    Raises:
        ValueError: if n_channels is below 1, or the input has other channels.
    """

    def __init__(self, n_channels: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        if n_channels < 1:
            raise ValueError(f"n_channels must be at least 1, got {n_channels}")
        self.bn = nn.BatchNorm1d(n_channels, momentum=momentum, eps=epsilon)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Normalised features on the same voxels."""
        if x.features.shape[1] != self.bn.num_features:
            n_channels, got = self.bn.num_features, x.features.shape[1]
            raise ValueError(f"x must have {n_channels} channels, got {got}")
        if len(x) > 1 or not self.training:
            return x.with_features(self.bn(x.features))
        bn = self.bn
        parts = (bn.running_mean, bn.running_var, bn.weight, bn.bias)
        return x.with_features(nn.functional.batch_norm(x.features, *parts, eps=bn.eps))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What it does in evaluation: x * scale + shift."""
        mean, variance = self.bn.running_mean, self.bn.running_var
        assert mean is not None  # BatchNorm1d tracks both
        assert variance is not None
        scale = self.bn.weight * (variance + self.bn.eps).rsqrt()
        return scale, self.bn.bias - mean * scale


class ReLU(nn.Module):
    """Positive part of the features."""

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features, none below 0, on the same voxels."""
        return x.with_features(torch.relu(x.features))


def conv_norm(
    conv: Conv3d | ConvTranspose3d,
    norm: BatchNorm,
    x: SparseTensor,
    *,
    shortcut: SparseTensor | None = None,
    relu: bool = True,
) -> SparseTensor:
    """norm(conv(x)) + shortcut, and its positive part.

    In evaluation without gradients all of it is done while the sums of the convolution are at
    hand; hooks of `norm` do not run then. Else what `norm` gives is overwritten.
    """
    if norm.training or norm.bn.training or torch.is_grad_enabled():
        out = norm(conv(x))
        rows = out.features  # nobody else's, and no gradient needs them as they are
        if shortcut is not None:
            rows = rows.add_(shortcut.features)
        return out.with_features(rows.relu_() if relu else rows)
    scale, shift = norm.scale_and_shift()
    if conv.bias is not None:
        shift = shift + conv.bias[0] * scale
    rows = None if shortcut is None else shortcut.features
    return conv.multiply(x, Epilogue(scale, shift, rows, relu))


class ConvNorm(nn.Sequential):
    """`conv_norm` as a module, for layers that are named 0 and 1 in a checkpoint."""

    def __init__(self, conv: Conv3d | ConvTranspose3d, norm: BatchNorm, *, relu: bool = True):
        super().__init__(conv, norm)
        self.relu = relu

    def forward(self, x: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """Features of the convolution's output voxels."""
        conv, norm = self
        assert isinstance(conv, Conv3d | ConvTranspose3d)  # as given
        assert isinstance(norm, BatchNorm)
        return conv_norm(conv, norm, x, relu=self.relu)


class MaxPool3d(nn.Module):
    """Largest feature of the occupied voxels under a kernel; of equals, the first slot's.

    Raises:
        ValueError: if the kernel does not cover every voxel of a cell.
    """

    def __init__(self, kernel_size: int = 2, stride: int = 2) -> None:
        super().__init__()
        reach = (kernel_size + 1) // 2 if kernel_size % 2 else kernel_size
        if stride < 1 or reach < stride:
            raise ValueError(f"kernel_size must cover the stride, got {kernel_size} and {stride}")
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features of the coarser voxels, rows in raster order."""
        table = kernel_map(x, self.kernel_size, self.stride).table(x.features.device)
        floor = x.features.new_full((1, x.features.shape[1]), -torch.inf)
        rows = torch.cat([x.features, floor])[table].max(dim=1).values
        return SparseTensor._derived(x._cache, rows, x.stride * self.stride)


class GlobalPool(nn.Module):
    """One row of features a scene: the mean, maximum or sum over its voxels.

    Args:
        reduce: "mean", "max" or "sum".

    Raises:
        ValueError: if reduce is another word.
    """

    def __init__(self, reduce: str = "mean") -> None:
        super().__init__()
        if reduce not in ("mean", "max", "sum"):
            raise ValueError(f"reduce must be 'mean', 'max' or 'sum', got {reduce!r}")
        self.reduce = reduce

    def forward(self, x: SparseTensor) -> Float[Tensor, "b c"]:
        """Features of scenes 0 to the last."""
        scene, order = torch.sort(x.coords[:, 0].long(), stable=True)
        lengths = torch.bincount(scene)
        return torch.segment_reduce(x.features[order], self.reduce, lengths=lengths)
