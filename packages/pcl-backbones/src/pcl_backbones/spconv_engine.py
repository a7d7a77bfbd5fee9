"""Sparse convolution by spconv 2, which gathers, multiplies and scatters our pairs of rows."""

from itertools import pairwise

import torch
from jaxtyping import Float
from spconv.core import ConvAlgo
from spconv.pytorch.functional import indice_conv
from torch import Tensor

from pcl_backbones.coordinates import KernelMap


def convolve(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s.

    On a CPU with one thread: with several, spconv 2.3.8 loses sums that two threads write at once.

    Raises:
        NotImplementedError: if a gradient is asked for on a CPU, where spconv has none.
    """
    wanted = torch.is_grad_enabled() and (features.requires_grad or kernel.requires_grad)
    if wanted and features.device.type == "cpu":
        raise NotImplementedError("spconv has no gradients on a CPU: use torch.no_grad()")
    n_slots, n_in, n_out = kernel.shape
    weights = (
        kernel.to(features.dtype).permute(2, 0, 1).reshape(n_out, n_slots, 1, 1, n_in).contiguous()
    )
    pairs, lengths = kernel_map.kept(_padded)
    n_threads = torch.get_num_threads()
    try:
        if features.device.type == "cpu":
            torch.set_num_threads(1)
        rows, n_outputs = features.contiguous(), kernel_map.n_outputs
        return indice_conv(rows, weights, pairs, lengths, n_outputs, ConvAlgo.Native)
    finally:
        torch.set_num_threads(n_threads)


def _padded(kernel_map: KernelMap) -> tuple[Tensor, Tensor]:
    """Input and output rows of every slot, (2, slots, longest) int32, and how many there are."""
    flat, device = torch.stack(kernel_map.flat).int(), kernel_map.device
    bounds = list(pairwise(kernel_map.starts))
    lengths = torch.tensor([stop - start for start, stop in bounds], dtype=torch.int32)
    shape = 2, len(bounds), int(lengths.max())
    pairs = torch.full(shape, -1, dtype=torch.int32, device=device)
    for slot, (start, stop) in enumerate(bounds):
        pairs[:, slot, : stop - start] = flat[:, start:stop]
    return pairs, lengths.to(device)
