"""Sparse convolution of float32 and bfloat16 rows on a CPU, in blocks that stay in its cache.

Rows are read and written through the kernel map while their products are summed in registers
(`tiles`). Every sum has an order of its own, whatever the number of threads.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from pcl_backbones.coordinates import KernelMap
from pcl_backbones.epilogue import Epilogue
from pcl_backbones.threads import run_tasks
from pcl_backbones.tiles import LANES, multiply_blocks, multiply_transposed, pack_matrices

BLOCK_VALUES = 1 << 18  # values of the input and output rows of a block: they fit a core's cache
MIN_ROWS = 64


def sum_of_products(
    features: Float[Tensor, "n a"],
    kernel: Float[Tensor, "slots a b"],
    kernel_map: KernelMap,
    epilogue: Epilogue | None = None,
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s, then the epilogue.

    The kernel is multiplied in the type of the features. Half-precision products are summed in
    float32, and rounded once, after the epilogue.
    """
    n_slots, n_in, n_out = kernel.shape
    is_bfloat16 = features.dtype == torch.bfloat16
    n_steps, n_columns = -(-n_in // 2) if is_bfloat16 else n_in, _padded(n_out)
    rows = _widened(features, n_in % 2 if is_bfloat16 else 0)
    matrices = _packed(kernel.float(), n_steps, n_columns, is_bfloat16)
    out = features.new_empty(kernel_map.n_outputs, n_out)
    n_rows = rows_of_a_block(kernel_map.n_outputs, n_in, n_columns)
    cuts, (inputs, outputs) = kernel_map.cuts(n_rows), kernel_map.flat
    scratch = torch.empty(torch.get_num_threads(), n_rows * n_columns)
    after = (None, None, None, False)
    if epilogue is not None:
        after = _as_read(epilogue, out.dtype)  # must live until the loop is done
    run_tasks(
        multiply_blocks,
        len(cuts) - 1,
        *(rows.data_ptr(), matrices.data_ptr(), n_slots, n_steps, n_columns),
        *(inputs.data_ptr(), outputs.data_ptr(), cuts.data_ptr()),
        *(out.data_ptr(), n_out, int(is_bfloat16), scratch.data_ptr(), n_rows * n_columns),
        *(0 if value is None else value.data_ptr() for value in after[:3]),
        int(after[3]),
    )
    return out


def _as_read(epilogue: Epilogue, dtype: torch.dtype) -> Epilogue:
    """With values of the types and in the order that `multiply_blocks` reads."""
    scale, shift, shortcut, is_relu = epilogue
    if shortcut is not None:
        shortcut = shortcut.to(dtype).contiguous()
    return Epilogue(scale.float().contiguous(), shift.float().contiguous(), shortcut, is_relu)


def _packed(
    kernel: Float[Tensor, "slots a b"], n_steps: int, n_columns: int, is_bfloat16: bool
) -> Float[Tensor, "slots steps columns"]:
    """The matrices as `multiply_blocks` reads them; the kernel itself where it lies so already."""
    n_slots, n_in, n_out = kernel.shape
    if not is_bfloat16 and n_columns == n_out and kernel.is_contiguous():
        return kernel
    packed = torch.empty(n_slots, n_steps, n_columns)
    run_tasks(
        pack_matrices,
        n_slots,
        *(kernel.data_ptr(), *kernel.stride(), n_in, n_out, n_columns),
        *(packed.data_ptr(), int(is_bfloat16)),
    )
    return packed


def outer_products(
    features: Float[Tensor, "n a"], gradient: Float[Tensor, "m b"], kernel_map: KernelMap
) -> Float[Tensor, "slots a b"]:
    """out[s] = sum of features[i]^T gradient[j] over the pairs (i, j) of slot s, in float32."""
    (n_in, n_out), n_slots = (features.shape[1], gradient.shape[1]), len(kernel_map.pairs)
    is_bfloat16 = features.dtype == torch.bfloat16
    n_columns = _padded(n_out)
    left, right = features.contiguous(), _widened(gradient, n_columns - n_out)
    n_rows = max(MIN_ROWS, BLOCK_VALUES // (n_in + n_columns))
    cuts, (inputs, outputs) = kernel_map.cuts(n_rows), kernel_map.flat
    out = torch.empty(n_slots, n_in, n_columns)
    n_both = (n_rows + 1) // 2 if is_bfloat16 else 0
    count, scratch_size = torch.arange(n_both), n_both * (n_in + n_columns)
    scratch = torch.empty(torch.get_num_threads(), scratch_size)
    run_tasks(
        multiply_transposed,
        min(n_slots, 2 * torch.get_num_threads()),
        *(left.data_ptr(), right.data_ptr(), n_slots, n_in, n_columns),
        *(inputs.data_ptr(), outputs.data_ptr(), cuts.data_ptr(), len(cuts) - 1),
        *(out.data_ptr(), int(is_bfloat16), scratch.data_ptr(), scratch_size),
        *(count.data_ptr(), len(left), len(right)),
    )
    return out[..., :n_out].contiguous()


def rows_of_a_block(n_rows: int, n_in: int, n_out: int) -> int:
    """Output rows that are computed together: few enough for the cache and for all threads."""
    shared = -(-n_rows // (4 * torch.get_num_threads()))
    return max(MIN_ROWS, min(BLOCK_VALUES // (n_in + n_out), shared))


def _widened(rows: Float[Tensor, "n c"], n_zeros: int) -> Float[Tensor, "n d"]:
    """Zeros on the right; `pad` would copy the rows even where there are none."""
    return pad(rows, (0, n_zeros)) if n_zeros else rows.contiguous()


def _padded(n_columns: int) -> int:
    return n_columns + -n_columns % LANES
