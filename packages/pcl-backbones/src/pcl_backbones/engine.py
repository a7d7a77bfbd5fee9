"""The engine: one function that convolves features along a kernel map.

The torch engine gathers the rows of each kernel offset, multiplies, and adds them to the output
in a fixed order; an offset writes each row once, so the result is the same bit for bit in every
run on a CPU. It needs no compilation and runs where torch runs.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pcl_backbones.coordinates import KernelMap

ENGINES = ("torch",)


def use_engine(name: Literal["torch"]) -> None:
    """Choose the engine of every convolution.

    Raises:
        ValueError: if there is no such engine.
    """
    if name not in ENGINES:
        raise ValueError(f"name must be one of {', '.join(ENGINES)}, got {name}")


def convolve(
    features: Float[Tensor, "v c_in"],
    kernel: Float[Tensor, "k c_in c_out"],
    kernel_map: KernelMap,
) -> Float[Tensor, "u c_out"]:
    r"""Sparse convolution :math:`y_u = \sum_k x_{n_k(u)} W_k` over the neighbours that exist.

    Args:
        features: input rows.
        kernel: one matrix for each offset.
        kernel_map: which input row meets which output row at each offset.
    """
    return _Convolution.apply(features, kernel, kernel_map)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.kernel_map = kernel_map
        return _gather_multiply_add(features, kernel, kernel_map)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        kernel_map: KernelMap = ctx.kernel_map
        grad = grad.contiguous()
        grad_features = grad_kernel = None
        if ctx.needs_input_grad[0]:
            transposed = kernel.transpose(1, 2)
            grad_features = _gather_multiply_add(grad, transposed, kernel_map.transposed())
        if ctx.needs_input_grad[1]:
            grad_kernel = torch.stack(
                [
                    features.index_select(0, rows).t() @ grad.index_select(0, out)
                    for rows, out in zip(kernel_map.in_rows, kernel_map.out_rows, strict=True)
                ]
            )
        return grad_features, grad_kernel, None


def _gather_multiply_add(features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
    output = features.new_zeros(kernel_map.n_out, kernel.shape[2])
    for weight, rows, out in zip(kernel, kernel_map.in_rows, kernel_map.out_rows, strict=True):
        if len(rows):
            output.index_add_(0, out, features.index_select(0, rows) @ weight)
    return output
