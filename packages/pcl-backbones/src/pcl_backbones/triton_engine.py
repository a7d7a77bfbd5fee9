"""Sparse convolution of float32, float16 and bfloat16 rows on a GPU, in Triton.

An implicit matrix product: a program sums a tile of the output over the slots of the kernel and
reads the rows of the input through a table of neighbours. Output rows are sorted by which slots
they have a neighbour in, so that a tile skips the others (Yan et al., "SECOND", Sensors 2018, and
Tang et al., "TorchSparse++", MICRO 2023, sort likewise). There are no atomic sums: a run gives the
same bits as the one before it.

float32 is multiplied as TF32 where `torch.set_float32_matmul_precision` allows it.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from pcl_backbones.coordinates import KernelMap

ROWS = 64  # of the output in a tile
STEPS = 32  # of the sum at a time
COLUMNS = 64  # of the output in a tile, at most
SMALLEST = 16  # edge of a product that Triton takes
N_PROGRAMS = 512  # that the outer products are split into, at least
_N_BITS = 62  # slots that a key of int64 distinguishes


def compiled(function: Callable):
    """The function as a Triton kernel, without what a type checker has wrapped around it."""
    return triton.jit(unwrap(function))


class _Table(NamedTuple):
    """The neighbours of the output rows, in the order in which tiles take them.

    Attributes:
        order: (m,) the output row of each place.
        table: (slots, m) the input row of each slot and place; -1 where there is none.
        starts: (tiles + 1,) where each tile's slots start in `slots`.
        slots: the slots that some row of a tile has a neighbour in, tile after tile, ascending.
    """

    order: Tensor
    table: Tensor
    starts: Tensor
    slots: Tensor


class _Pairs(NamedTuple):
    """Input and output rows of all slots, one slot after the other, and where each starts."""

    inputs: Tensor
    outputs: Tensor
    starts: Tensor


def sum_of_products(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s.

    The kernel is multiplied in the type of the features. Products are summed in float32, and
    rounded once.
    """
    kernel = kernel.to(features.dtype)
    found = kernel_map.kept(_table)
    n_rows, (_, n_in, n_out) = kernel_map.n_outputs, kernel.shape
    out = features.new_empty(n_rows, n_out)
    n_columns = _edge(n_out, COLUMNS)
    _sum_of_products[triton.cdiv(n_rows, ROWS), triton.cdiv(n_out, n_columns)](
        *(features.contiguous(), kernel.contiguous(), out),
        *found,
        *(n_in, n_out, n_rows),
        ROWS=ROWS,
        STEPS=_edge(n_in, STEPS),
        COLUMNS=n_columns,
        PRECISION=_precision(),
    )
    return out


def outer_products(
    features: Float[Tensor, "n a"], gradient: Float[Tensor, "m b"], kernel_map: KernelMap
) -> Float[Tensor, "slots a b"]:
    """out[s] = sum of features[i]^T gradient[j] over the pairs (i, j) of slot s, in float32."""
    n_slots, (n_in, n_out) = len(kernel_map.pairs), (features.shape[1], gradient.shape[1])
    n_rows, n_columns = _edge(n_in, COLUMNS), _edge(n_out, COLUMNS)
    tiles = triton.cdiv(n_in, n_rows), triton.cdiv(n_out, n_columns)
    n_parts = triton.cdiv(N_PROGRAMS, n_slots * tiles[0] * tiles[1])
    out = torch.empty(n_parts, n_slots, n_in, n_out, device=features.device)
    _outer_products[n_slots * n_parts, *tiles](
        *(features.contiguous(), gradient.contiguous(), out),
        *kernel_map.kept(_pairs),
        *(n_in, n_out, n_slots, n_parts),
        ROWS=n_rows,
        STEPS=STEPS,
        COLUMNS=n_columns,
        PRECISION=_precision(),
    )
    return out.sum(0)


def _edge(size: int, most: int) -> int:
    return max(SMALLEST, min(most, triton.next_power_of_2(size)))


def _precision() -> str:
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def _table(kernel_map: KernelMap) -> _Table:
    device = kernel_map.device
    table = kernel_map.table(device).T
    table = table.where(table < kernel_map.n_inputs, -1)
    bits = torch.arange(len(table), device=device) % _N_BITS
    keys = ((table >= 0).long() << bits[:, None]).sum(0)
    order = torch.argsort(keys, stable=True)
    table = table[:, order].int()
    padded = torch.nn.functional.pad(table, (0, -table.shape[1] % ROWS), value=-1)
    meets = (padded.unflatten(1, (-1, ROWS)) >= 0).any(2).T
    starts = torch.nn.functional.pad(meets.sum(1).cumsum(0), (1, 0)).int()
    slots = meets.nonzero()[:, 1].int()
    return _Table(order, table.contiguous(), starts, slots)


def _pairs(kernel_map: KernelMap) -> _Pairs:
    inputs, outputs = (rows.int() for rows in kernel_map.flat)
    return _Pairs(inputs, outputs, torch.tensor(kernel_map.starts, device=inputs.device).int())


@compiled
def _sum_of_products(
    features,
    kernel,
    out,
    order,
    table,
    starts,
    slots,
    n_in,
    n_out,
    n_rows,
    ROWS: tl.constexpr,  # noqa: N803
    STEPS: tl.constexpr,  # noqa: N803
    COLUMNS: tl.constexpr,  # noqa: N803
    PRECISION: tl.constexpr,  # noqa: N803
):
    tile = tl.program_id(0)
    places = tile * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    sums = tl.zeros((ROWS, COLUMNS), tl.float32)
    for i in range(tl.load(starts + tile), tl.load(starts + tile + 1)):
        slot = tl.load(slots + i).to(tl.int64)
        sources = tl.load(table + slot * n_rows + places, places < n_rows, other=-1).to(tl.int64)
        for k in range(0, n_in, STEPS):
            steps = k + tl.arange(0, STEPS)
            left = tl.load(
                features + sources[:, None] * n_in + steps[None, :],
                (sources >= 0)[:, None] & (steps < n_in)[None, :],
                other=0.0,
            )
            right = tl.load(
                kernel + (slot * n_in + steps)[:, None] * n_out + columns[None, :],
                (steps < n_in)[:, None] & (columns < n_out)[None, :],
                other=0.0,
            )
            sums = tl.dot(left, right, sums, input_precision=PRECISION)
    targets = tl.load(order + places, places < n_rows, other=0)
    tl.store(
        out + targets[:, None] * n_out + columns[None, :],
        sums.to(out.dtype.element_ty),
        (places < n_rows)[:, None] & (columns < n_out)[None, :],
    )


@compiled
def _outer_products(
    features,
    gradient,
    out,
    inputs,
    outputs,
    starts,
    n_in,
    n_out,
    n_slots,
    n_parts,
    ROWS: tl.constexpr,  # noqa: N803
    STEPS: tl.constexpr,  # noqa: N803
    COLUMNS: tl.constexpr,  # noqa: N803
    PRECISION: tl.constexpr,  # noqa: N803
):
    slot, part = tl.program_id(0) // n_parts, tl.program_id(0) % n_parts
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    start, stop = tl.load(starts + slot), tl.load(starts + slot + 1)
    share = tl.cdiv(tl.cdiv(stop - start, n_parts), STEPS) * STEPS
    low = start + part * share
    high = tl.minimum(low + share, stop)
    sums = tl.zeros((ROWS, COLUMNS), tl.float32)
    for p in range(low, high, STEPS):
        pairs = p + tl.arange(0, STEPS)
        sources = tl.load(inputs + pairs, pairs < high, other=0).to(tl.int64)
        targets = tl.load(outputs + pairs, pairs < high, other=0).to(tl.int64)
        left = tl.load(
            features + sources[None, :] * n_in + rows[:, None],
            (pairs < high)[None, :] & (rows < n_in)[:, None],
            other=0.0,
        )
        right = tl.load(
            gradient + targets[:, None] * n_out + columns[None, :],
            (pairs < high)[:, None] & (columns < n_out)[None, :],
            other=0.0,
        )
        sums = tl.dot(left, right, sums, input_precision=PRECISION)
    place = (part * n_slots + slot).to(tl.int64)
    tl.store(
        out + (place * n_in + rows)[:, None] * n_out + columns[None, :],
        sums,
        (rows < n_in)[:, None] & (columns < n_out)[None, :],
    )
