"""Sparse convolution of float32 and bfloat16 rows on a CPU, in blocks that stay in its cache.

Rows are read and written through the kernel map while their products are summed in registers
(`tiles`). Every sum has an order of its own, whatever the number of threads.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from pcl_backbones.coordinates import KernelMap
from pcl_backbones.parallel import run_tasks
from pcl_backbones.tiles import LANES, multiply_blocks, multiply_transposed

BLOCK_VALUES = 1 << 18  # values of the input and output rows of a block: they fit a core's cache
MIN_ROWS = 64


def sum_of_products(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s.

    Half-precision products are summed in float32.
    """
    n_slots, n_in, n_out = kernel.shape
    is_bfloat16 = features.dtype == torch.bfloat16
    odd = n_in % 2 if is_bfloat16 else 0
    rows = pad(features, (0, odd)).contiguous()
    matrices = pad(kernel, (0, -n_out % LANES, 0, odd))
    n_steps, n_columns = matrices.shape[1:]
    if is_bfloat16:
        n_steps //= 2
        matrices = matrices.unflatten(1, (n_steps, 2)).transpose(2, 3)
    matrices = matrices.contiguous()
    out = features.new_empty(kernel_map.n_outputs, n_columns)
    n_rows = rows_of_a_block(kernel_map.n_outputs, n_in, n_columns)
    cuts, (inputs, outputs) = kernel_map.cuts(n_rows), kernel_map.flat
    scratch = torch.empty(torch.get_num_threads() if is_bfloat16 else 0, n_rows * n_columns)
    run_tasks(
        multiply_blocks,
        len(cuts) - 1,
        *(rows.data_ptr(), matrices.data_ptr(), n_slots, n_steps, n_columns),
        *(inputs.data_ptr(), outputs.data_ptr(), cuts.data_ptr()),
        *(out.data_ptr(), int(is_bfloat16), scratch.data_ptr(), n_rows * n_columns),
    )
    return out[:, :n_out].contiguous()


def outer_products(
    features: Float[Tensor, "n a"], gradient: Float[Tensor, "m b"], kernel_map: KernelMap
) -> Float[Tensor, "slots a b"]:
    """out[s] = sum of features[i]^T gradient[j] over the pairs (i, j) of slot s, in float32."""
    (n_in, n_out), n_slots = (features.shape[1], gradient.shape[1]), len(kernel_map.pairs)
    left, right = features.contiguous(), pad(gradient, (0, -n_out % LANES)).contiguous()
    n_columns = right.shape[1]
    cuts = kernel_map.cuts(max(MIN_ROWS, BLOCK_VALUES // (n_in + n_columns)))
    inputs, outputs = kernel_map.flat
    out = torch.empty(n_slots, n_in, n_columns)
    run_tasks(
        multiply_transposed,
        min(n_slots, 2 * torch.get_num_threads()),
        *(left.data_ptr(), right.data_ptr(), n_slots, n_in, n_columns),
        *(inputs.data_ptr(), outputs.data_ptr(), cuts.data_ptr(), len(cuts) - 1),
        *(out.data_ptr(), int(features.dtype == torch.bfloat16)),
    )
    return out[..., :n_out].contiguous()


def rows_of_a_block(n_rows: int, n_in: int, n_out: int) -> int:
    """Output rows that are computed together: few enough for the cache and for all threads."""
    shared = -(-n_rows // (4 * torch.get_num_threads()))
    return max(MIN_ROWS, min(BLOCK_VALUES // (n_in + n_out), shared))
