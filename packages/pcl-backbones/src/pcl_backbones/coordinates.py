"""Voxel coordinates as sorted integer keys, and the kernel maps found by searching them.

Own scheme; the meaning of a stride and the order of kernel slots follow Choy et al., "4D
Spatio-Temporal ConvNets", CVPR 2019 (HYPERCUBE: the first spatial axis runs fastest).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from pcl_backbones.row_kernels import cut_slots, match_sorted

N_SCENES = 1 << 12  # largest number of scenes in a batch
COORD_LIMIT = 1 << 15  # |x|, |y|, |z| of a voxel stay below this
BITS = 17  # one bit more than the limit needs, so that a neighbour never wraps around
_OFFSET = 1 << (BITS - 1)
_MASK = (1 << BITS) - 1
Made = TypeVar("Made")


def pack(coords: Int[Tensor, "v 4"]) -> Int[Tensor, " v"]:
    """One int64 key a row; keys sort as rows do (scene, x, y, z)."""
    b, x, y, z = coords.long().unbind(1)
    return (((b << BITS | x + _OFFSET) << BITS | y + _OFFSET) << BITS) | z + _OFFSET


def unpack(keys: Int[Tensor, " v"]) -> Int[Tensor, "v 4"]:
    """The int32 coordinates of keys; undoes `pack`."""
    x, y, z = ((keys >> shift & _MASK) - _OFFSET for shift in (2 * BITS, BITS, 0))
    return torch.stack([keys >> 3 * BITS, x, y, z], dim=1).int()


def kernel_offsets(kernel_size: int) -> list[tuple[int, int, int]]:
    """Offsets of the kernel's slots, x fastest; centred for odd sizes, from 0 for even ones.

    Example:
        >>> kernel_offsets(2)[:3], kernel_offsets(3)[0]
        ([(0, 0, 0), (1, 0, 0), (0, 1, 0)], (-1, -1, -1))
    """
    first = -(kernel_size // 2) if kernel_size % 2 else 0
    steps = range(first, first + kernel_size)
    return [(x, y, z) for z in steps for y in steps for x in steps]


class Search(NamedTuple):
    """What a kernel map was searched for: a convolution of `fine` voxels to `coarse` ones.

    Attributes:
        fine: coordinates of the input of the convolution, rows as there.
        coarse: coordinates of its output, stride * factor apart; `fine` where the factor is 1.
        stride: edge of a voxel of `fine`.
        factor: how many times coarser the output is.
        kernel_size: voxels along an axis of the kernel.
        is_transposed: whether the map leads from the coarse voxels to the fine ones.
    """

    fine: "Level"
    coarse: "Level"
    stride: int
    factor: int
    kernel_size: int
    is_transposed: bool = False


@dataclass(frozen=True)
class KernelMap:
    """Which input row meets which output row in each slot of a kernel.

    Attributes:
        pairs: for each slot, input rows and output rows, equally long; both hold a row at most
            once. None where every row meets itself (the centre of a stride-1 kernel).
        n_inputs: rows of the input.
        n_outputs: rows of the output.
        search: where the pairs come from; None if they were not searched for.

    Raises:
        ValueError: if pairs that were not searched for name rows that are not there.
    """

    pairs: tuple[tuple[Tensor, Tensor] | None, ...]
    n_inputs: int
    n_outputs: int
    search: Search | None = None

    def __post_init__(self) -> None:
        """Check a map that was not searched for: native loops follow it through memory."""
        sides = (("input", self.n_inputs), ("output", self.n_outputs))
        for pair in self.pairs if self.search is None else ():
            if pair is None and self.n_inputs != self.n_outputs:
                raise ValueError(
                    f"n_outputs must be {self.n_inputs} for None, got {self.n_outputs}"
                )
            if pair and len(pair[0]) != len(pair[1]):
                raise ValueError(f"pairs must be equally long, got {tuple(map(len, pair))}")
            for rows, (side, count) in zip(pair or (), sides, strict=bool(pair)):
                if len(rows) and not 0 <= rows.min() <= rows.max() < count:
                    bounds = [int(row) for row in rows.aminmax()]
                    raise ValueError(f"{side} rows must lie in [0, {count}), got {bounds}")

    def kept(self, make: "Callable[[KernelMap], Made]") -> "Made":
        """make(self), made once: the form of the map that an engine works with."""
        if make not in self._kept:
            self._kept[make] = make(self)
        return self._kept[make]

    @cached_property
    def _kept(self) -> dict[Callable, Any]:
        return {}

    @cached_property
    def flat(self) -> tuple[Tensor, Tensor]:
        """Input and output rows of all slots, one slot after the other; output rows rise in each.

        Rows of a slot rise already where voxels are sorted.
        """
        whole = torch.arange(self.n_outputs, device=self.device)
        pairs = [_by_output(*(pair or (whole, whole))) for pair in self.pairs]
        inputs, outputs = (torch.cat(rows) for rows in zip(*pairs, strict=True))
        return inputs, outputs

    @cached_property
    def device(self) -> torch.device:
        """Where the pairs are; the CPU if every row meets itself only."""
        return next((pair[0].device for pair in self.pairs if pair), torch.device("cpu"))

    @cached_property
    def starts(self) -> list[int]:
        """Where each slot starts in `flat`, and the end."""
        lengths = (len(pair[0]) if pair else self.n_outputs for pair in self.pairs)
        return list(accumulate(lengths, initial=0))

    def cuts(self, n_rows: int) -> Int[Tensor, "bounds columns"]:
        """First pair in `flat` of each block of `n_rows` output rows, for each slot.

        A row for each block and one for the end; the last column is the block's first output row.
        """
        if n_rows not in self._cuts:
            bounds = np.append(np.arange(0, self.n_outputs, n_rows), self.n_outputs)
            found = cut_slots(self.flat[1].numpy(), np.array(self.starts), bounds)
            self._cuts[n_rows] = torch.from_numpy(found)
        return self._cuts[n_rows]

    @cached_property
    def _cuts(self) -> dict[int, Tensor]:
        return {}

    @cached_property
    def transposed(self) -> "KernelMap":
        """The same map with input and output exchanged."""
        swapped = tuple(pair and (pair[1], pair[0]) for pair in self.pairs)
        search = self.search and self.search._replace(is_transposed=not self.search.is_transposed)
        return KernelMap(swapped, self.n_outputs, self.n_inputs, search)

    def table(self, device: torch.device) -> Int[Tensor, "n_outputs slots"]:
        """Input row of every output row and slot; n_inputs where there is none."""
        shape = (self.n_outputs, len(self.pairs))
        table = torch.full(shape, self.n_inputs, device=device)
        for slot, pair in enumerate(self.pairs):
            if pair is None:
                table[:, slot] = torch.arange(self.n_outputs, device=device)
            else:
                table[pair[1], slot] = pair[0]
        return table


def _by_output(inputs: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    if bool((outputs[1:] > outputs[:-1]).all()):
        return inputs, outputs
    order = torch.argsort(outputs)
    return inputs[order], outputs[order]


@dataclass(frozen=True)
class Level:
    """The voxels of one stride: keys in row order, and the same keys sorted."""

    keys: Tensor
    sorted_keys: Tensor
    order: Tensor | None  # row of each sorted key; None where rows are sorted already

    @classmethod
    def of(cls, keys: Int[Tensor, " v"]) -> "Level":
        """Sort the keys of a level."""
        if bool((keys[1:] > keys[:-1]).all()):
            return cls(keys, keys, None)
        return cls(keys, *torch.sort(keys, stable=True))

    def rows(self, positions: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
        """The rows of sorted keys."""
        return positions if self.order is None else self.order[positions]

    @cached_property
    def coords(self) -> Int[Tensor, "v 4"]:
        """Coordinates in row order."""
        return unpack(self.keys)


@dataclass
class CoordinateCache:
    """The levels and kernel maps that all tensors of one network pass share."""

    levels: dict[int, Level] = field(default_factory=dict)
    maps: dict[tuple[int, int, int], KernelMap] = field(default_factory=dict)
    raster: "tuple[CoordinateCache, Tensor, Tensor] | None" = None

    def coarse(self, stride: int, factor: int) -> Level:
        """The level at stride * factor: floor(c / s') * s', made once, in raster order."""
        target = stride * factor
        if target not in self.levels:
            coords = self.levels[stride].coords.clone()
            coords[:, 1:] -= coords[:, 1:] % target
            self.levels[target] = Level.of(torch.unique(pack(coords)))
        return self.levels[target]

    def kernel_map(self, stride: int, kernel_size: int, factor: int) -> KernelMap:
        """The map of a convolution from `stride` to `stride * factor`, made once."""
        key = (stride, kernel_size, factor)
        if key not in self.maps:
            source, target = self.levels[stride], self.coarse(stride, factor)
            shifts = [
                stride * (((x << BITS) + y << BITS) + z) for x, y, z in kernel_offsets(kernel_size)
            ]
            centred = factor == 1 and kernel_size % 2 == 1
            pairs = _mirrored_pairs(source, shifts) if centred else _pairs(source, target, shifts)
            search = Search(source, target, stride, factor, kernel_size)
            sizes = len(source.keys), len(target.keys)
            self.maps[key] = KernelMap(tuple(pairs), *sizes, search)
        return self.maps[key]


def _pairs(source: Level, target: Level, shifts: list[int]) -> list[tuple[Tensor, Tensor] | None]:
    return [_matches(source, target, shift) for shift in shifts]


def _matches(source: Level, target: Level, shift: int) -> tuple[Tensor, Tensor]:
    """Rows i of source and j of target with source key i = target key j + shift."""
    if source.keys.device.type == "cpu":
        found = match_sorted(source.sorted_keys.numpy(), target.sorted_keys.numpy(), shift)
        inputs, outputs = (torch.from_numpy(rows) for rows in found)
    else:
        wanted = target.sorted_keys + shift
        position = torch.searchsorted(source.sorted_keys, wanted).clamp_(max=len(source.keys) - 1)
        outputs = (source.sorted_keys[position] == wanted).nonzero()[:, 0]
        inputs = position[outputs]
    return source.rows(inputs), target.rows(outputs)


def _mirrored_pairs(level: Level, shifts: list[int]) -> list[tuple[Tensor, Tensor] | None]:
    """Half of the search: if a sees b in one slot, b sees a in the mirrored slot."""
    half = _pairs(level, level, shifts[: len(shifts) // 2])
    return [*half, None, *(pair and (pair[1], pair[0]) for pair in reversed(half))]
