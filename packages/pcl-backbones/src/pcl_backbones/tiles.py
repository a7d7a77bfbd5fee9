"""Sums of products of listed rows, in tiles that stay in a processor's vector registers.

A tile holds ROWS x (VECTORS * LANES) sums. In each step of the sum one value of every row is spread
over the lanes and multiplied with the same VECTORS * LANES columns: sums[r, c] += a[r, k] b[k, c].
Rows are found through lists of row numbers, so that nothing is gathered or scattered in memory.
numba writes the loops over tiles, and the instructions of a tile are given to it one by one.
"""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from llvmlite import binding, ir
from numba import carray
from numba.core import cgutils, config, types

from pcl_backbones.parallel import (
    FIRST_ARGUMENT,
    N_TASKS,
    NEXT_TASK,
    NEXT_WORKER,
    instruction,
    native,
    take,
)
from pcl_backbones.row_kernels import compiled


def _has(feature: str) -> bool:
    """Whether numba compiles for a processor with this feature."""
    chosen: str | None = config.CPU_FEATURES  # pyrefly: ignore  # set when numba is imported
    features = chosen or binding.get_host_cpu_features().flatten()
    return f"+{feature}" in features.split(",")


LANES = 16 if _has("avx512f") else 8 if _has("avx") else 4  # float32 values of a vector register
VECTORS = 2 if LANES == 8 else 4  # a tile's sums fill 16 registers where there are 32, else 8
ROWS = 4
BFLOAT16_PRODUCTS = LANES == 16 and _has("avx512bf16")  # one instruction for two products

_ADDRESS, _FLOAT, _WORD, _HALF = ir.IntType(64), ir.FloatType(), ir.IntType(32), ir.IntType(16)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INDEX_BYTES = 8

_SIZES = (ROWS + 1) * VECTORS + 1  # more than any number of a size

Args = Sequence[ir.Value]
Size = tuple[int, int]  # rows and vectors of a tile
Sums = list[list[ir.Value]]


@instruction
def add_rows_times_matrix(
    context,
    rows,
    index,
    n_steps,
    matrix,
    n_columns,
    out,
    target,
    is_bfloat16,
    n_rows,
    n_vectors,
):
    """out[target[r], c] += sum over k of rows[index[r], k] matrix[k, c], in float32.

    r runs to n_rows <= ROWS and c to n_vectors * LANES <= VECTORS * LANES; arrays are addresses of
    float32 and int64 values, rows and matrix and out have n_steps and n_columns columns. No row
    may occur twice in target. Where is_bfloat16, two bfloat16 values stand in the place of each
    float32 one of rows and matrix.
    """

    def tile(builder: ir.IRBuilder, args: Args, fused: Callable, size: Size) -> None:
        rows, index, n_steps, matrix, n_columns, out, target = args
        places = [_number(builder, index, _int(r)) for r in range(size[0])]
        sources = [_row(builder, rows, place, n_steps, 4) for place in places]

        def scalars(k: ir.Value) -> list[ir.Value]:
            return [_load(builder, _element(builder, row, k), _FLOAT) for row in sources]

        def vectors(k: ir.Value) -> list[ir.Value]:
            return _columns(builder, _row(builder, matrix, k, n_columns, 4), size[1])

        sums = _sums(builder, fused, n_steps, scalars, vectors, size)
        places = [_number(builder, target, _int(r)) for r in range(size[0])]
        _add_to(builder, sums, [_row(builder, out, place, n_columns, 4) for place in places])

    def single(builder: ir.IRBuilder, args: Args, size: Size) -> None:
        tile(builder, args, _fused, size)

    def bfloat16(builder: ir.IRBuilder, args: Args, size: Size) -> None:
        tile(builder, args, _fused_bfloat16, size)

    return _signature(10), _every_size(single, bfloat16)


@instruction
def add_outer_products(
    context,
    left,
    index,
    n_left,
    right,
    target,
    n_right,
    n_pairs,
    out,
    is_bfloat16,
    n_rows,
    n_vectors,
):
    """out[r, c] += sum over pairs p of left[index[p], r] right[target[p], c], in float32.

    left and right have n_left and n_right columns, out has n_right; the rest is as above, except
    that bfloat16 values lie side by side.
    """

    def add(builder: ir.IRBuilder, sums: Sums, out: ir.Value, n_right: ir.Value) -> None:
        _add_to(builder, sums, [_row(builder, out, r, n_right, 4) for r in range(len(sums))])

    def single(builder: ir.IRBuilder, args: Args, size: Size) -> None:
        left, index, n_left, right, target, n_right, n_pairs, out = args

        def scalars(p: ir.Value) -> list[ir.Value]:
            row = _row(builder, left, _number(builder, index, p), n_left, 4)
            return [_load(builder, _element(builder, row, r), _FLOAT) for r in range(size[0])]

        def vectors(p: ir.Value) -> list[ir.Value]:
            row = _row(builder, right, _number(builder, target, p), n_right, 4)
            return _columns(builder, row, size[1])

        add(builder, _sums(builder, _fused, n_pairs, scalars, vectors, size), out, n_right)

    def bfloat16(builder: ir.IRBuilder, args: Args, size: Size) -> None:
        left, index, n_left, right, target, n_right, n_pairs, out = args

        def both(rows: ir.Value, numbers: ir.Value, n_columns: ir.Value, p: ir.Value):
            """Pairs 2 p and 2 p + 1, or the last one twice and False."""
            first = builder.shl(p, _int(1))
            second = builder.add(first, _int(1))
            is_pair = builder.icmp_unsigned("<", second, n_pairs)
            pair = first, builder.select(is_pair, second, first)
            found = [_number(builder, numbers, each) for each in pair]
            return [_row(builder, rows, row, n_columns, 2) for row in found], is_pair

        def scalars(p: ir.Value) -> list[ir.Value]:
            places, is_pair = both(left, index, n_left, p)
            halves = ir.VectorType(_HALF, size[0])
            low, high = (_load(builder, place, halves) for place in places)
            high = builder.select(is_pair, high, ir.Constant(halves, None))
            words = _interleaved(builder, low, high, size[0])
            return [builder.extract_element(words, _word(r)) for r in range(size[0])]

        def vectors(p: ir.Value) -> list[ir.Value]:
            places, _ = both(right, target, n_right, p)
            halves, found = ir.VectorType(_HALF, LANES), []
            for v in range(size[1]):
                low, high = (
                    _load(builder, _element(builder, place, v * LANES, 2), halves)
                    for place in places
                )
                found.append(_interleaved(builder, low, high, LANES))
            return found

        steps = builder.lshr(builder.add(n_pairs, _int(1)), _int(1))
        add(builder, _sums(builder, _fused_bfloat16, steps, scalars, vectors, size), out, n_right)

    return _signature(11), _every_size(single, bfloat16)


@instruction
def pointer(context, address):
    """An address as a pointer."""

    def generate(context, builder: ir.IRBuilder, signature, args: Args) -> ir.Value:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate


def _signature(n_arguments: int):
    return types.void(*[types.intp] * n_arguments)


def _every_size(single: Callable, bfloat16: Callable) -> Callable:
    """Code for tiles of both types and of every size; the last three arguments choose one."""

    def generate(context, builder: ir.IRBuilder, signature, args: Args) -> ir.Value:
        *args, is_bfloat16, n_rows, n_vectors = args
        done = builder.append_basic_block("done")
        size = builder.add(builder.mul(n_rows, _int(VECTORS)), n_vectors)
        size = builder.add(builder.mul(is_bfloat16, _int(_SIZES)), size)
        choice = builder.switch(size, done)
        for kind, tile in enumerate((single, bfloat16)):
            for rows in range(1, ROWS + 1):
                for vectors in range(1, VECTORS + 1):
                    block = builder.append_basic_block("tile")
                    choice.add_case(_int(kind * _SIZES + rows * VECTORS + vectors), block)
                    builder.position_at_end(block)
                    tile(builder, args, (rows, vectors))
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return generate


def _sums(
    builder: ir.IRBuilder,
    fused: Callable,
    n_steps: ir.Value,
    scalars: Callable[[ir.Value], list[ir.Value]],
    vectors: Callable[[ir.Value], list[ir.Value]],
    size: Size,
) -> Sums:
    """Sums over the steps k of scalars(k)[r] times vectors(k)[v]."""
    sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(size[1])] for _ in range(size[0])]
    for total in chain.from_iterable(sums):
        builder.store(ir.Constant(_VECTOR, None), total)
    with cgutils.for_range(builder, n_steps) as loop:
        columns = vectors(loop.index)
        for row, scalar in zip(sums, scalars(loop.index), strict=True):
            spread = _spread(builder, scalar)
            for total, column in zip(row, columns, strict=True):
                builder.store(fused(builder, spread, column, builder.load(total)), total)
    return [[builder.load(total) for total in row] for row in sums]


def _add_to(builder: ir.IRBuilder, sums: Sums, rows: list[ir.Value]) -> None:
    for row, totals in zip(rows, sums, strict=True):
        for v, total in enumerate(totals):
            place = builder.inttoptr(_element(builder, row, v * LANES), _VECTOR.as_pointer())
            before = builder.load(place, align=4)
            builder.store(builder.fadd(before, total), place, align=4)


def _fused(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, total: ir.Value) -> ir.Value:
    """A * b + total, rounded once where the processor can."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, total])


def _fused_bfloat16(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, total: ir.Value) -> ir.Value:
    """A[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1] + total[i]."""
    if BFLOAT16_PRODUCTS:
        binding.initialize_native_asmparser()
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        instruction = ir.InlineAsm(kind, "vdpbf16ps $2, $1, $0", "=v,v,v,0")
        return builder.call(instruction, [a, b, total])
    words = ir.VectorType(_WORD, LANES)
    sixteen, upper = (ir.Constant(words, [bits] * LANES) for bits in (16, 0xFFFF0000))
    a, b = builder.bitcast(a, words), builder.bitcast(b, words)
    a_low, b_low = (builder.bitcast(builder.shl(x, sixteen), _VECTOR) for x in (a, b))
    a_high, b_high = (builder.bitcast(builder.and_(x, upper), _VECTOR) for x in (a, b))
    return _fused(builder, a_high, b_high, _fused(builder, a_low, b_low, total))


def _interleaved(builder: ir.IRBuilder, low: ir.Value, high: ir.Value, n: int) -> ir.Value:
    """low[0], high[0] ... low[n - 1], high[n - 1] as n values of the size of a float32 one."""
    order = [lane + side * n for lane in range(n) for side in range(2)]
    mask = ir.Constant(ir.VectorType(_WORD, 2 * n), order)
    mixed = builder.shuffle_vector(low, high, mask)
    return builder.bitcast(mixed, ir.VectorType(_FLOAT, n))


def _spread(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, _word(0))
    lanes = ir.Constant(ir.VectorType(_WORD, LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, lanes)


def _columns(builder: ir.IRBuilder, row: ir.Value, n_vectors: int) -> list[ir.Value]:
    return [
        _load(builder, _element(builder, row, v * LANES), _VECTOR, align=4)
        for v in range(n_vectors)
    ]


def _load(builder: ir.IRBuilder, place: ir.Value, kind: ir.Type, align: int = 2) -> ir.Value:
    return builder.load(builder.inttoptr(place, kind.as_pointer()), align=align)


def _number(builder: ir.IRBuilder, numbers: ir.Value, place: ir.Value) -> ir.Value:
    return _load(builder, _element(builder, numbers, place, _INDEX_BYTES), _ADDRESS, align=8)


def _row(
    builder: ir.IRBuilder, base: ir.Value, row: ir.Value | int, n_columns: ir.Value, size: int
) -> ir.Value:
    """Address of a row of values of `size` bytes."""
    return _element(builder, base, builder.mul(_value(row), n_columns), size)


def _element(builder: ir.IRBuilder, base: ir.Value, place: ir.Value | int, size: int = 4):
    return builder.add(base, builder.mul(_value(place), _int(size)))


def _value(number: ir.Value | int) -> ir.Value:
    return _int(number) if isinstance(number, int) else number


def _int(number: int) -> ir.Constant:
    return ir.Constant(_ADDRESS, number)


def _word(number: int) -> ir.Constant:
    return ir.Constant(_WORD, number)


@native
def multiply_blocks(numbers):
    """out[outputs[p]] = sum over slots s and pairs p of s of rows[inputs[p]] matrices[s].

    A task is a block of output rows, cuts[block, -1] to cuts[block + 1, -1]. The pairs p of its
    slot s are cuts[block, s] to cuts[block + 1, s]; an output row is at most once among them.
    The matrices have a multiple of LANES columns. Where is_bfloat16, rows and matrices hold two
    bfloat16 values in place of each float32 one (the first in the lower half) and out has bfloat16
    values; each thread sums in its own `scratch`, of as many float32 values as a block has.
    """
    n_blocks, a = numbers[N_TASKS], FIRST_ARGUMENT
    rows, matrices, n_slots, n_steps = numbers[a], numbers[a + 1], numbers[a + 2], numbers[a + 3]
    n_columns, inputs, outputs = numbers[a + 4], numbers[a + 5], numbers[a + 6]
    cuts = carray(pointer(numbers[a + 7]), (n_blocks + 1, n_slots + 1), np.int64)
    out, is_bfloat16, scratch = numbers[a + 8], numbers[a + 9], numbers[a + 10]
    scratch += take(numbers, NEXT_WORKER) * numbers[a + 11] * 4
    while True:
        block = take(numbers, NEXT_TASK)
        if block >= n_blocks:
            return
        start, stop = cuts[block, n_slots], cuts[block + 1, n_slots]
        n_values = (stop - start) * n_columns
        total = scratch if is_bfloat16 else out + 4 * start * n_columns
        sums = carray(pointer(total), n_values, np.float32)
        sums[:] = 0
        total -= 4 * start * n_columns  # where row 0 would be
        for slot in range(n_slots):
            low, high = cuts[block, slot], cuts[block + 1, slot]
            for column in range(0, n_columns, VECTORS * LANES):
                n_vectors = min(VECTORS, (n_columns - column) // LANES)
                matrix = matrices + 4 * (slot * n_steps * n_columns + column)
                target = total + 4 * column
                for p in range(low, high, ROWS):
                    add_rows_times_matrix(
                        rows, inputs + 8 * p, n_steps, matrix, n_columns, target, outputs + 8 * p,
                        is_bfloat16, min(ROWS, high - p), n_vectors,
                    )  # fmt: skip
        if is_bfloat16:
            rounded = carray(pointer(out + 2 * start * n_columns), n_values, np.uint16)
            _round_to_bfloat16(sums, rounded)


@native
def multiply_transposed(numbers):
    """out[s] = sum over pairs p of slot s of left[inputs[p]]^T right[outputs[p]], in float32.

    A task is every n-th slot, n the number of tasks; its pairs are taken block by block of `cuts`.
    The right rows have a multiple of LANES columns.
    """
    n_tasks, a = numbers[N_TASKS], FIRST_ARGUMENT
    left, right, n_slots, n_left = numbers[a], numbers[a + 1], numbers[a + 2], numbers[a + 3]
    n_right, inputs, outputs = numbers[a + 4], numbers[a + 5], numbers[a + 6]
    n_blocks, out, is_bfloat16 = numbers[a + 8], numbers[a + 9], numbers[a + 10]
    cuts = carray(pointer(numbers[a + 7]), (n_blocks + 1, n_slots + 1), np.int64)
    sums = carray(pointer(out), (n_slots, n_left, n_right), np.float32)
    size = 2 if is_bfloat16 else 4
    while True:
        task = take(numbers, NEXT_TASK)
        if task >= n_tasks:
            return
        for slot in range(task, n_slots, n_tasks):
            sums[slot] = 0
        for block in range(n_blocks):
            for slot in range(task, n_slots, n_tasks):
                first, n_pairs = cuts[block, slot], cuts[block + 1, slot] - cuts[block, slot]
                for column in range(0, n_right, VECTORS * LANES):
                    n_vectors = min(VECTORS, (n_right - column) // LANES)
                    for row in range(0, n_left, ROWS):
                        add_outer_products(
                            left + size * row, inputs + 8 * first, n_left,
                            right + size * column, outputs + 8 * first, n_right, n_pairs,
                            out + 4 * ((slot * n_left + row) * n_right + column),
                            is_bfloat16, min(ROWS, n_left - row), n_vectors,
                        )  # fmt: skip


@compiled
def _round_to_bfloat16(values, out):
    """To the nearest, of two equally near to the even one. NaN stays NaN: as sums of bfloat16
    products they have no bits in the lower half, from which the upper one would overflow.
    """
    bits = values.view(np.uint32)
    for i in range(len(bits)):
        odd = (bits[i] >> np.uint32(16)) & np.uint32(1)
        out[i] = np.uint16((bits[i] + np.uint32(0x7FFF) + odd) >> np.uint32(16))
