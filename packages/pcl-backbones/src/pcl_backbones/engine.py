"""Sparse convolution of rows of features, in plain torch on any device.

out[u] = sum over slots k of x[u + offset_k] W_k: one gather, matrix product and scatter a slot.
A slot holds a row at most once, and slots are added in their order: the same bits in every run.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcl_backbones import cpu_engine, device_engine
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

    Under autocast rows and kernel are multiplied in its type, and the products summed in float32.
    """
    device = features.device.type
    if not torch.is_autocast_enabled(device):
        return _engine(features, kernel, kernel_map)
    dtype = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        return _engine(features.to(dtype), kernel.to(dtype), kernel_map)


class _GatherScatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.kernel_map = kernel_map
        return _functions(features).sum_of_products(features.detach(), kernel.detach(), kernel_map)

    @staticmethod
    @once_differentiable
    def backward(  # pyrefly: ignore  # torch's stub fits no function of one gradient
        ctx, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        gradient, functions = gradient.contiguous(), _functions(gradient)
        to_features = to_kernel = None
        if ctx.needs_input_grad[0]:
            transposed = kernel.detach().transpose(1, 2)
            to_features = functions.sum_of_products(gradient, transposed, ctx.kernel_map.transposed)
        if ctx.needs_input_grad[1]:
            to_kernel = functions.outer_products(features.detach(), gradient, ctx.kernel_map)
        return to_features, to_kernel, None


def _functions(values: Tensor):
    fits = values.device.type == "cpu" and values.dtype in (torch.float32, torch.bfloat16)
    return cpu_engine if fits else device_engine


_ENGINES = {"torch": _GatherScatter.apply}
_engine = _ENGINES["torch"]
