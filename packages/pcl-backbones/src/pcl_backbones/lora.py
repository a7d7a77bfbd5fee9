"""Fine-tuning of a frozen sparse network by low-rank terms on its kernels.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, sec. 4.1: W + A B for a
frozen matrix W, with B zero at the start. Here W is a kernel (slots, in, out) seen as a matrix of
slots * in rows, one term over all slots together.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pcl_backbones.sparse import Conv3d, ConvTranspose3d


def add_lora(model: nn.Module, *, rank: int = 8, scale: float = 1.0) -> list[nn.Parameter]:
    r"""Freeze a network, and add a low-rank term to the kernel of every convolution.

    .. math:: W' = W + s A B, \quad A: (k\,c_{in}, r), \; B: (r, c_{out})

    with k slots, s the scale, and r the rank or, where that is smaller, a side of the matrix. B is
    zero, so outputs stay the same to the bit until it is trained. Scale and shift of the batch
    norms and all biases are frozen too, as LoRA has it; running statistics follow
    `model.train()` as ever, so that a network can settle in a new domain. To train more, such as
    the last layer, let its parameters require gradients afterwards.

    Args:
        model: with `sparse.Conv3d` or `ConvTranspose3d` layers.
        rank: r; 8 trains 4.3 % as many values as Res16UNet34C has.
        scale: s, LoRA's alpha / r.

    Returns:
        The new parameters, for the optimizer: the only ones that get gradients.

    Raises:
        ValueError: if rank is below 1, scale is not finite, or the model has no such layer or has
            low-rank terms.

    Example:
        >>> from pcl_backbones import Res16UNet34C
        >>> sum(p.numel() for p in add_lora(Res16UNet34C(3, 20, width=0.25), rank=4))
        205780
    """
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}")
    if not math.isfinite(scale):
        raise ValueError(f"scale must be finite, got {scale}")
    layers = _convolutions(model)
    if not layers:
        raise ValueError(f"model must have sparse convolutions, got {type(model).__name__}")
    if any(parametrize.is_parametrized(layer, "kernel") for layer in layers):
        raise ValueError("model must have no low-rank terms, got some: merge_lora them first")
    model.requires_grad_(False)
    parameters = []
    for layer in layers:
        term = _LoraTerm(layer.kernel, rank, scale)
        parametrize.register_parametrization(layer, "kernel", term)
        parameters += term.parameters()
    return parameters


def merge_lora(model: nn.Module) -> None:
    """Fold the terms of `add_lora` into the kernels: a plain network of the same outputs.

    Its `state_dict` has the names it had before, so `save_weights` writes what any reader of the
    network loads. Parameters stay frozen.

    Raises:
        ValueError: if the model has no low-rank terms.
    """
    layers = [x for x in _convolutions(model) if parametrize.is_parametrized(x, "kernel")]
    if not layers:
        raise ValueError(f"model must have low-rank terms, got none in {type(model).__name__}")
    for layer in layers:
        parametrize.remove_parametrizations(layer, "kernel", leave_parametrized=True)


def _convolutions(model: nn.Module) -> list[Conv3d | ConvTranspose3d]:
    return [layer for layer in model.modules() if isinstance(layer, Conv3d | ConvTranspose3d)]


class _LoraTerm(nn.Module):
    """What turns a frozen kernel into the one in use."""

    def __init__(self, kernel: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        n_rows, n_columns = kernel.shape[:-1].numel(), kernel.shape[-1]
        rank = min(rank, n_rows, n_columns)
        self.scale = scale
        self.down = nn.Parameter(kernel.new_empty(n_rows, rank).normal_(std=n_rows**-0.5))
        self.up = nn.Parameter(kernel.new_zeros(rank, n_columns))

    def forward(self, kernel: Float[Tensor, "*slots a b"]) -> Float[Tensor, "*slots a b"]:
        """W + s A B, in its own type under autocast too, as it is when merged."""
        with torch.autocast(kernel.device.type, enabled=False):
            return kernel + self.scale * (self.down @ self.up).view_as(kernel)
