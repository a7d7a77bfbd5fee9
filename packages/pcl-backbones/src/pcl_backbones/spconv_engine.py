"""Sparse convolution by spconv 2, which gathers, multiplies and scatters our pairs of rows."""

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
    pairs, lengths = pairs.to(features.device), lengths.to(features.device)
    return indice_conv(
        features.contiguous(), weights, pairs, lengths, kernel_map.n_outputs, ConvAlgo.Native
    )


def _padded(kernel_map: KernelMap) -> tuple[Tensor, Tensor]:
    """Input and output rows of every slot, (2, slots, longest) int32, and how many there are."""
    whole = torch.arange(kernel_map.n_outputs)
    found = [torch.stack(pair or (whole, whole)) for pair in kernel_map.pairs]
    lengths = torch.tensor([pair.shape[1] for pair in found], dtype=torch.int32)
    pairs = torch.full((2, len(found), int(lengths.max())), -1, dtype=torch.int32)
    for slot, pair in enumerate(found):
        pairs[:, slot, : pair.shape[1]] = pair
    return pairs, lengths
