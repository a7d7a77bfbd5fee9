"""Sparse convolution on a CPU, in blocks of output rows that stay in its cache.

For each slot of the kernel the input rows of a block are gathered, multiplied and added to the
block's output. Blocks do not depend on the number of threads, and neither do the sums.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from pcl_backbones.coordinates import KernelMap
from pcl_backbones.row_kernels import add_rows, gather_rows

BLOCK_VALUES = 1 << 19  # values of the input and output rows of a block: they fit a core's cache
MIN_ROWS = 512  # a multiple of what `padded` rounds to


def sum_of_products(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s.

    Half-precision products are summed in float32.
    """
    n_in, n_out = kernel.shape[1:]
    n_rows = rows_of_a_block(n_in, n_out)
    weights, pairs, segments = kernel.unbind(0), kernel_map.sorted_pairs, kernel_map.cuts(n_rows)
    out = features.new_empty(kernel_map.n_outputs, n_out)
    source, indices = as_array(features), [pair and as_arrays(pair) for pair in pairs]
    is_half = features.element_size() < 4

    def work(block: int) -> None:
        start = block * n_rows
        target = out[start : start + n_rows]
        total = torch.zeros_like(target, dtype=torch.float32) if is_half else target.zero_()
        total_array = total.numpy()
        rows, product = features.new_zeros(n_rows, n_in), features.new_empty(n_rows, n_out)
        rows_array, wide = as_array(rows), total.new_empty(n_rows, n_out) if is_half else product
        wide_array = wide.numpy()
        for weight, index, (low, high) in zip(weights, indices, segments[block], strict=True):
            if index is None:
                total.add_(torch.mm(features[low:high], weight))
            elif low < high:
                n = padded(high - low) if is_half else high - low
                gather_rows(source, index[0], low, high, rows_array)
                torch.mm(rows[:n], weight, out=product[:n])
                if is_half:
                    wide[: high - low].copy_(product[: high - low])
                add_rows(wide_array, index[1], low, high, start, total_array)
        if is_half:
            target.copy_(total)

    share(work, len(segments))
    return out


def outer_products(
    features: Float[Tensor, "n a"], gradient: Float[Tensor, "m b"], kernel_map: KernelMap
) -> Float[Tensor, "slots a b"]:
    """out[s] = sum of features[i]^T gradient[j] over the pairs (i, j) of slot s, in float32."""
    n_in, n_out = features.shape[1], gradient.shape[1]
    n_rows = rows_of_a_block(n_in, n_out)
    pairs, segments = kernel_map.sorted_pairs, kernel_map.cuts(n_rows)
    wide = torch.promote_types(features.dtype, torch.float32)
    out = features.new_zeros(len(pairs), n_in, n_out, dtype=wide)
    left, right = as_array(features), as_array(gradient)
    indices = [pair and as_arrays(pair) for pair in pairs]
    is_half = features.dtype != wide
    n_tasks = min(torch.get_num_threads(), len(pairs))

    def work(task: int) -> None:
        inputs, outputs = features.new_empty(n_rows, n_in), gradient.new_empty(n_rows, n_out)
        input_array, output_array = as_array(inputs), as_array(outputs)
        for block in segments:
            for slot in range(task, len(pairs), n_tasks):
                index, (low, high) = indices[slot], block[slot]
                if low == high:
                    continue
                if index is None:
                    a, b = features[low:high], gradient[low:high]
                else:
                    gather_rows(left, index[0], low, high, input_array)
                    gather_rows(right, index[1], low, high, output_array)
                    a, b = inputs[: high - low], outputs[: high - low]
                if is_half:
                    if index is not None:
                        n = padded(high - low)
                        inputs[high - low : n] = outputs[high - low : n] = 0
                        a, b = inputs[:n], outputs[:n]
                    out[slot].add_(torch.mm(a.T, b))
                else:
                    out[slot].addmm_(a.T, b)

    share(work, n_tasks)
    return out


def rows_of_a_block(n_in: int, n_out: int) -> int:
    """Output rows that are computed together; a power of two, so that few sizes are cut."""
    return max(MIN_ROWS, 1 << (BLOCK_VALUES // (n_in + n_out)).bit_length() - 1)


def padded(n_rows: int) -> int:
    """The next multiple of 128: a half-precision product is compiled anew for each size."""
    return -(-n_rows // 128) * 128


def as_array(values: Tensor):
    """The same memory as a numpy array; 16-bit floats as integers, good for copies only."""
    return (values if values.element_size() >= 4 else values.view(torch.int16)).numpy()


def as_arrays(pair: tuple[Tensor, Tensor]) -> tuple:
    """Input and output rows of a slot as numpy arrays."""
    return pair[0].numpy(), pair[1].numpy()


def share(work: Callable[[int], None], n_tasks: int) -> None:
    """Run work(0) to work(n_tasks - 1), on as many threads as torch uses, each one task a time."""
    n_threads = min(torch.get_num_threads(), n_tasks)
    if n_threads <= 1:
        for task in range(n_tasks):
            work(task)
        return
    is_inference, before = torch.is_inference_mode_enabled(), torch.get_num_threads()

    def run(task: int) -> None:  # modes are those of a thread
        with torch.inference_mode(is_inference), torch.no_grad():
            work(task)

    torch.set_num_threads(1)
    try:
        list(_pool(os.getpid(), n_threads).map(run, range(n_tasks)))
    finally:
        torch.set_num_threads(before)


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(n_threads, "pcl_backbones", torch.set_num_threads, (1,))
