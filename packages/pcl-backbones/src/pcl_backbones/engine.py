"""Sparse convolution of rows of features, in plain torch on any device.

out[u] = sum over slots k of x[u + offset_k] W_k: one gather, matrix product and scatter a slot.
A slot holds a row at most once, and slots are added in their order: the same bits in every run.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcl_backbones.coordinates import KernelMap


def use_engine(name: str) -> None:
    """Choose what computes sparse convolutions, for the whole process.

    Args:
        name: "torch", the only engine of this version.

    Raises:
        ValueError: if there is no such engine.

    Example:
        >>> use_engine("torch")
    """
    global _engine
    if name not in _ENGINES:
        raise ValueError(f"name must be one of {sorted(_ENGINES)}, got {name!r}")
    _engine = _ENGINES[name]


def convolve(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """Rows of the output of a convolution, by the engine in use.

    Under autocast it computes in the type of the kernel, so that sums keep their precision.
    """
    device = features.device.type
    if not torch.is_autocast_enabled(device):
        return _engine(features, kernel, kernel_map)
    with torch.autocast(device, enabled=False):
        return _engine(features.to(kernel.dtype), kernel, kernel_map)


class _GatherScatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.kernel_map = kernel_map
        return _sum_of_products(features, kernel, kernel_map)

    @staticmethod
    @once_differentiable
    def backward(  # pyrefly: ignore  # torch's stub fits no function of one gradient
        ctx, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_features = to_kernel = None
        if ctx.needs_input_grad[0]:
            transposed = ctx.kernel_map.transposed
            to_features = _sum_of_products(gradient, kernel.transpose(1, 2), transposed)
        if ctx.needs_input_grad[1]:
            to_kernel = _outer_products(features, gradient, kernel, ctx.kernel_map)
        return to_features, to_kernel, None


def _sum_of_products(features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
    out = features.new_zeros(kernel_map.n_outputs, kernel.shape[2])
    for weight, pair in zip(kernel, kernel_map.pairs, strict=True):
        if pair is None:
            out.addmm_(features, weight)
        elif len(pair[0]):
            out.index_add_(0, pair[1], features.index_select(0, pair[0]) @ weight)
    return out


def _outer_products(
    features: Tensor, gradient: Tensor, kernel: Tensor, kernel_map: KernelMap
) -> Tensor:
    out = torch.zeros_like(kernel)
    for slot, pair in zip(out, kernel_map.pairs, strict=True):
        if pair is None:
            torch.mm(features.T, gradient, out=slot)
        elif len(pair[0]):
            rows = features.index_select(0, pair[0])
            torch.mm(rows.T, gradient.index_select(0, pair[1]), out=slot)
    return out


_ENGINES = {"torch": _GatherScatter.apply}
_engine = _ENGINES["torch"]
