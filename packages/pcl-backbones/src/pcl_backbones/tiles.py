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

from pcl_backbones.row_kernels import compiled
from pcl_backbones.threads import (
    FIRST_ARGUMENT,
    N_TASKS,
    NEXT_TASK,
    NEXT_WORKER,
    instruction,
    native,
    take,
)


def _has(feature: str) -> bool:
    """Whether numba compiles for a processor with this feature."""
    chosen: str | None = config.CPU_FEATURES  # pyrefly: ignore  # set when numba is imported
    features = chosen or binding.get_host_cpu_features().flatten()
    return f"+{feature}" in features.split(",")


LANES = 16 if _has("avx512f") else 8 if _has("avx") else 4  # float32 values of a vector register
VECTORS = 2 if LANES == 8 else 4  # a tile's sums fill 16 registers where there are 32, else 8
ROWS = 4
BFLOAT16_PRODUCTS = LANES == 16 and _has("avx512bf16")  # one instruction for two products

_ADDRESS, _FLOAT, _WORD = ir.IntType(64), ir.FloatType(), ir.IntType(32)
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

    return _signature(10), _every_size(tile)


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

    left and right have n_left and n_right columns, out has n_right; the rest is as above, and
    where is_bfloat16 two pairs are one.
    """

    def tile(builder: ir.IRBuilder, args: Args, fused: Callable, size: Size) -> None:
        left, index, n_left, right, target, n_right, n_pairs, out = args

        def scalars(p: ir.Value) -> list[ir.Value]:
            row = _row(builder, left, _number(builder, index, p), n_left, 4)
            return [_load(builder, _element(builder, row, r), _FLOAT) for r in range(size[0])]

        def vectors(p: ir.Value) -> list[ir.Value]:
            row = _row(builder, right, _number(builder, target, p), n_right, 4)
            return _columns(builder, row, size[1])

        sums = _sums(builder, fused, n_pairs, scalars, vectors, size)
        _add_to(builder, sums, [_row(builder, out, r, n_right, 4) for r in range(size[0])])

    return _signature(11), _every_size(tile)


@instruction
def pointer(context, address):
    """An address as a pointer."""

    def generate(context, builder: ir.IRBuilder, signature, args: Args) -> ir.Value:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate


def _signature(n_arguments: int):
    return types.void(*[types.intp] * n_arguments)


def _every_size(tile: Callable) -> Callable:
    """Code for tiles of both types and of every size; the last three arguments choose one."""

    def generate(context, builder: ir.IRBuilder, signature, args: Args) -> ir.Value:
        *args, is_bfloat16, n_rows, n_vectors = args
        done = builder.append_basic_block("done")
        size = builder.add(builder.mul(n_rows, _int(VECTORS)), n_vectors)
        size = builder.add(builder.mul(is_bfloat16, _int(_SIZES)), size)
        choice = builder.switch(size, done)
        for kind, fused in enumerate((_fused, _fused_bfloat16)):
            for rows in range(1, ROWS + 1):
                for vectors in range(1, VECTORS + 1):
                    block = builder.append_basic_block("tile")
                    choice.add_case(_int(kind * _SIZES + rows * VECTORS + vectors), block)
                    builder.position_at_end(block)
                    tile(builder, args, fused, (rows, vectors))
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
def pack_matrices(numbers):
    """The float32 matrices of all slots as `add_rows_times_matrix` reads them, one slot a task.

    matrix[k, c] of slot s is values[s * strides[0] + k * strides[1] + c * strides[2]], of n_steps
    by n_columns; zeros fill the columns up to n_packed. Where is_bfloat16 steps 2 k and 2 k + 1 are
    rounded and lie in one float32 value, the first in the lower half.
    """
    n_slots, a = numbers[N_TASKS], FIRST_ARGUMENT
    values, by_slot, by_step, by_column = numbers[a], numbers[a + 1], numbers[a + 2], numbers[a + 3]
    n_steps, n_columns, n_packed = numbers[a + 4], numbers[a + 5], numbers[a + 6]
    out, is_bfloat16 = numbers[a + 7], numbers[a + 8]
    n_rows = (n_steps + 1) // 2 if is_bfloat16 else n_steps
    extent = by_step * (n_steps - 1) + by_column * (n_columns - 1) + 1
    while True:
        slot = take(numbers, NEXT_TASK)
        if slot >= n_slots:
            return
        bits = carray(pointer(values + 4 * slot * by_slot), extent, np.uint32)
        packed = carray(pointer(out + 4 * slot * n_rows * n_packed), (n_rows, n_packed), np.uint32)
        if is_bfloat16:
            _pack_rounded(bits, by_step, by_column, n_steps, n_columns, packed)
        else:
            _pack_singles(bits, by_step, by_column, n_columns, packed)


@native
def multiply_blocks(numbers):
    """out[outputs[p]] = sum over slots s and pairs p of s of rows[inputs[p]] matrices[s].

    A task is a block of output rows, cuts[block, -1] to cuts[block + 1, -1]. The pairs p of its
    slot s are cuts[block, s] to cuts[block + 1, s]; an output row is at most once among them.
    The matrices have n_columns columns, a multiple of LANES, of which the first n_out are written
    to out. Where is_bfloat16, rows and matrices hold two bfloat16 values in place of each float32
    one (the first in the lower half), and out and shortcut have bfloat16 values. Each thread sums
    in its own `scratch`, of scratch_size float32 values.

    Where `scale` is not 0, out * scale + shift + shortcut (if not 0) is written instead, and 0
    where that is negative and is_relu.
    """
    n_blocks, a = numbers[N_TASKS], FIRST_ARGUMENT
    rows, matrices, n_slots, n_steps = numbers[a], numbers[a + 1], numbers[a + 2], numbers[a + 3]
    n_columns, inputs, outputs = numbers[a + 4], numbers[a + 5], numbers[a + 6]
    cuts = carray(pointer(numbers[a + 7]), (n_blocks + 1, n_slots + 1), np.int64)
    out, n_out, is_bfloat16 = numbers[a + 8], numbers[a + 9], numbers[a + 10]
    scratch = numbers[a + 11] + take(numbers, NEXT_WORKER) * numbers[a + 12] * 4
    scale, shift, shortcut = numbers[a + 13], numbers[a + 14], numbers[a + 15]
    is_relu = numbers[a + 16]
    size = 2 if is_bfloat16 else 4
    while True:
        block = take(numbers, NEXT_TASK)
        if block >= n_blocks:
            return
        start, stop = cuts[block, n_slots], cuts[block + 1, n_slots]
        sums = carray(pointer(scratch), (stop - start, n_columns), np.float32)
        sums[:] = 0
        total = scratch - 4 * start * n_columns  # where row 0 would be
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
        shape, offset = (stop - start, n_out), size * start * n_out
        if scale:
            scales = carray(pointer(scale), n_out, np.float32)
            shifts = carray(pointer(shift), n_out, np.float32)
            _scale_and_shift(sums, scales, shifts)
            if shortcut and is_bfloat16:
                _add_halves(sums, carray(pointer(shortcut + offset), shape, np.uint16))
            elif shortcut:
                _add(sums, carray(pointer(shortcut + offset), shape, np.float32))
            if is_relu:
                _clip(sums)
        if is_bfloat16:
            _round_to_bfloat16(sums, carray(pointer(out + offset), shape, np.uint16))
        else:
            _copy(sums, carray(pointer(out + offset), shape, np.float32))


@native
def multiply_transposed(numbers):
    """out[s] = sum over pairs p of slot s of left[inputs[p]]^T right[outputs[p]], in float32.

    A task is every n-th slot, n the number of tasks; its pairs are taken block by block of `cuts`.
    The right rows have a multiple of LANES columns. Where is_bfloat16, left and right have that
    type; each thread then packs two pairs into one in its own `scratch`, of scratch_size float32
    values, half as many as the rows of the largest block have on both sides.
    """
    n_tasks, a = numbers[N_TASKS], FIRST_ARGUMENT
    left, right, n_slots, n_left = numbers[a], numbers[a + 1], numbers[a + 2], numbers[a + 3]
    n_right, inputs, outputs = numbers[a + 4], numbers[a + 5], numbers[a + 6]
    n_blocks, out, is_bfloat16 = numbers[a + 8], numbers[a + 9], numbers[a + 10]
    cuts = carray(pointer(numbers[a + 7]), (n_blocks + 1, n_slots + 1), np.int64)
    sums = carray(pointer(out), (n_slots, n_left, n_right), np.float32)
    scratch = numbers[a + 11] + take(numbers, NEXT_WORKER) * numbers[a + 12] * 4
    count = numbers[a + 13]  # 0, 1, 2 ...
    n_inputs, n_outputs = numbers[a + 14], numbers[a + 15]
    while True:
        task = take(numbers, NEXT_TASK)
        if task >= n_tasks:
            return
        for block in range(n_blocks):
            for slot in range(task, n_slots, n_tasks):
                if block == 0:
                    sums[slot] = 0
                first, n_pairs = cuts[block, slot], cuts[block + 1, slot] - cuts[block, slot]
                left_rows, left_index = left, inputs + 8 * first
                right_rows, right_index = right, outputs + 8 * first
                if is_bfloat16:
                    n_both = (n_pairs + 1) // 2
                    left_rows, right_rows = scratch, scratch + 4 * n_both * n_left
                    for rows, n_rows, n, index, packed in (
                        (left, n_inputs, n_left, left_index, left_rows),
                        (right, n_outputs, n_right, right_index, right_rows),
                    ):
                        _pack_pairs(
                            carray(pointer(rows), (n_rows, n), np.uint16),
                            carray(pointer(index), n_pairs, np.int64),
                            carray(pointer(packed), (n_both, n), np.uint32),
                        )
                    left_index, right_index, n_pairs = count, count, n_both
                for column in range(0, n_right, VECTORS * LANES):
                    n_vectors = min(VECTORS, (n_right - column) // LANES)
                    for row in range(0, n_left, ROWS):
                        add_outer_products(
                            left_rows + 4 * row, left_index, n_left,
                            right_rows + 4 * column, right_index, n_right, n_pairs,
                            out + 4 * ((slot * n_left + row) * n_right + column),
                            is_bfloat16, min(ROWS, n_left - row), n_vectors,
                        )  # fmt: skip


@compiled
def _rounded(bits):
    """The bfloat16 bits nearest to float32 ones, of two equally near the even; NaN stays NaN."""
    if bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
        return np.uint32(0x7FC0)
    odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    return np.uint32(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@compiled
def _upper(half):
    """The lower half of a word as the upper half of another."""
    return np.uint32(np.uint32(half) << np.uint32(16))


@compiled
def _pack_singles(values, by_step, by_column, n_columns, out):
    for k in range(out.shape[0]):
        for c in range(n_columns):
            out[k, c] = values[k * by_step + c * by_column]
        out[k, n_columns:] = 0


@compiled
def _pack_rounded(values, by_step, by_column, n_steps, n_columns, out):
    for k in range(out.shape[0]):
        first, second = 2 * k * by_step, (2 * k + 1) * by_step
        is_pair = 2 * k + 1 < n_steps
        for c in range(n_columns):
            low = _rounded(values[first + c * by_column])
            high = _rounded(values[second + c * by_column]) if is_pair else np.uint32(0)
            out[k, c] = low | _upper(high)
        out[k, n_columns:] = 0


@compiled
def _pack_pairs(rows, index, out):
    """Rows 2 p and 2 p + 1 of the index side by side; zeros beside the last of an odd number."""
    for p in range(len(out)):
        first = rows[index[2 * p]]
        if 2 * p + 1 < len(index):
            second = rows[index[2 * p + 1]]
            for c in range(rows.shape[1]):
                out[p, c] = np.uint32(first[c]) | _upper(second[c])
        else:
            for c in range(rows.shape[1]):
                out[p, c] = np.uint32(first[c])


@compiled
def _scale_and_shift(sums, scale, shift):
    for r in range(len(sums)):
        for c in range(len(scale)):
            sums[r, c] = sums[r, c] * scale[c] + shift[c]


@compiled
def _add(sums, rows):
    for r in range(len(rows)):
        for c in range(rows.shape[1]):
            sums[r, c] += rows[r, c]


@compiled
def _add_halves(sums, rows):
    for r in range(len(rows)):
        for c in range(rows.shape[1]):
            sums[r, c] += np.uint32(_upper(rows[r, c])).view(np.float32)


@compiled
def _clip(sums):
    for r in range(len(sums)):
        for c in range(sums.shape[1]):
            sums[r, c] = np.float32(0) if sums[r, c] < 0 else sums[r, c]


@compiled
def _copy(sums, out):
    for r in range(len(out)):
        for c in range(out.shape[1]):
            out[r, c] = sums[r, c]


@compiled
def _round_to_bfloat16(sums, out):
    bits = sums.view(np.uint32)
    for r in range(len(out)):
        for c in range(out.shape[1]):
            out[r, c] = np.uint16(_rounded(bits[r, c]))
