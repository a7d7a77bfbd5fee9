"""Voxel coordinates of a network pass: packed keys, coarser levels, kernel maps.

A kernel map lists, for every offset of a kernel, the input row that each output row reads.
It is found by sorting: coordinates are packed into 64-bit keys, and a neighbour is a binary
search. Offsets are ordered as in MinkowskiEngine's hyper-cube, the first spatial axis fastest.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

SPATIAL_BITS, BATCH_BITS = 17, 12
SPATIAL_LIMIT = 2 ** (SPATIAL_BITS - 1)  # coordinates lie in [-limit, limit)
MARGIN = 64  # kept free, so that no neighbour leaves the range


class KernelMap(NamedTuple):
    """For each kernel offset the rows that meet: `out[out_rows[k]] += in[in_rows[k]] @ W[k]`."""

    in_rows: tuple[Tensor, ...]
    out_rows: tuple[Tensor, ...]
    n_in: int
    n_out: int

    def transposed(self) -> "KernelMap":
        """The same meetings with input and output exchanged."""
        return KernelMap(self.out_rows, self.in_rows, self.n_out, self.n_in)


def kernel_offsets(kernel_size: int) -> Int[Tensor, "k 3"]:
    """Offsets in kernel order: centred for odd sizes, 0 .. size - 1 for even ones.

    Example:
        >>> kernel_offsets(2)[:3].tolist()
        [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    first = -(kernel_size // 2) if kernel_size % 2 else 0
    axis = torch.arange(first, first + kernel_size)
    return torch.cartesian_prod(axis, axis, axis).flip(1)


def pack(coords: Int[Tensor, "v 4"]) -> Int[Tensor, " v"]:
    """One 64-bit key for each (b, x, y, z); keys sort as the coordinates do."""
    b, x, y, z = coords.long().unbind(1)
    key = (b << SPATIAL_BITS) + x + SPATIAL_LIMIT
    key = (key << SPATIAL_BITS) + y + SPATIAL_LIMIT
    return (key << SPATIAL_BITS) + z + SPATIAL_LIMIT


def check_coords(coords: Int[Tensor, "v 4"]) -> None:
    """Reject coordinates that cannot be packed or occur twice.

    Raises:
        ValueError: naming the rule and the value.
    """
    if len(coords) == 0:
        return
    batch, spatial = coords[:, 0], coords[:, 1:]
    if batch.min() < 0 or batch.max() >= 2**BATCH_BITS:
        raise ValueError(
            f"coords must have scene indices in [0, {2**BATCH_BITS}), "
            f"got {int(batch.min())} to {int(batch.max())}"
        )
    limit = SPATIAL_LIMIT - MARGIN
    if spatial.min() < -limit or spatial.max() >= limit:
        raise ValueError(
            f"coords must lie in [{-limit}, {limit}), "
            f"got {int(spatial.min())} to {int(spatial.max())}: are the units voxels?"
        )
    keys = pack(coords).sort().values
    repeated = int((keys[1:] == keys[:-1]).sum())
    if repeated:
        raise ValueError(f"coords must be distinct, got {repeated} duplicates: voxelise first")


class CoordinateLevels:
    """The coordinates of one pass at every stride, and the kernel maps between them.

    Shared by all tensors that come from one another, so that each map is found once.
    """

    def __init__(self, coords: Int[Tensor, "v 4"], stride: int) -> None:
        self.coords = {stride: coords}
        self._sorted: dict[int, tuple[Tensor, Tensor]] = {}
        self._maps: dict[tuple[int, int, int], KernelMap] = {}

    def kernel_map(self, in_stride: int, out_stride: int, kernel_size: int) -> KernelMap:
        """The map of a convolution from one level to the same or a coarser one."""
        key = (in_stride, out_stride, kernel_size)
        if key not in self._maps:
            self._maps[key] = self._find(*key)
        return self._maps[key]

    def _find(self, in_stride: int, out_stride: int, kernel_size: int) -> KernelMap:
        if out_stride not in self.coords:
            self.coords[out_stride] = coarser(self.coords[in_stride], out_stride)
        out_coords = self.coords[out_stride]
        keys, order = self._keys(in_stride)
        in_rows, out_rows = [], []
        for offset in kernel_offsets(kernel_size).to(out_coords.device) * in_stride:
            step = int(pack(torch.cat([offset.new_zeros(1), offset])[None])[0]) - ORIGIN_KEY
            wanted = pack(out_coords) + step
            place = torch.searchsorted(keys, wanted).clamp(max=max(len(keys) - 1, 0))
            found = torch.nonzero(keys[place] == wanted).flatten() if len(keys) else place
            in_rows.append(order[place[found]])
            out_rows.append(found)
        return KernelMap(tuple(in_rows), tuple(out_rows), len(keys), len(out_coords))

    def _keys(self, stride: int) -> tuple[Tensor, Tensor]:
        if stride not in self._sorted:
            keys, order = pack(self.coords[stride]).sort()
            self._sorted[stride] = (keys, order)
        return self._sorted[stride]


def coarser(coords: Int[Tensor, "v 4"], stride: int) -> Int[Tensor, "w 4"]:
    """The voxels of `stride` that hold the given ones: floor(c / stride) * stride, in key order."""
    spatial = torch.div(coords[:, 1:], stride, rounding_mode="floor") * stride
    floored = torch.cat([coords[:, :1], spatial], dim=1)
    keys, inverse = torch.unique(pack(floored), return_inverse=True)
    out = floored.new_empty(len(keys), 4)
    out[inverse] = floored
    return out


ORIGIN_KEY = int(pack(torch.zeros(1, 4, dtype=torch.int32))[0])
