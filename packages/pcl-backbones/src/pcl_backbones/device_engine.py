"""Sparse convolution with torch's operations alone: one gather, product and scatter a slot.

It runs on any device and for any type; `cpu_engine` does the same faster on a CPU. A slot holds a
row at most once, and slots are added in their order: the same bits in every run.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pcl_backbones.coordinates import KernelMap


def sum_of_products(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s.

    The kernel is multiplied in the type of the features. Half-precision products are summed in
    float32.
    """
    kernel = kernel.to(features.dtype)
    wide = torch.promote_types(features.dtype, torch.float32)
    out = features.new_zeros(kernel_map.n_outputs, kernel.shape[2], dtype=wide)
    for weight, pair in zip(kernel, kernel_map.pairs, strict=True):
        if pair is None:
            out += features @ weight
        elif len(pair[0]):
            product = features.index_select(0, pair[0]) @ weight
            out.index_add_(0, pair[1], product.to(wide))
    return out.to(features.dtype)


def outer_products(
    features: Float[Tensor, "n a"], gradient: Float[Tensor, "m b"], kernel_map: KernelMap
) -> Float[Tensor, "slots a b"]:
    """out[s] = sum of features[i]^T gradient[j] over the pairs (i, j) of slot s."""
    out = features.new_zeros(len(kernel_map.pairs), features.shape[1], gradient.shape[1])
    for slot, pair in zip(out, kernel_map.pairs, strict=True):
        if pair is None:
            torch.mm(features.T, gradient, out=slot)
        elif len(pair[0]):
            rows = features.index_select(0, pair[0])
            torch.mm(rows.T, gradient.index_select(0, pair[1]), out=slot)
    return out
