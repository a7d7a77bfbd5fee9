"""The slowly moving copy of an encoder that computes targets.

He et al., "Momentum Contrast", CVPR 2020, Eq. 2; sec. 3.1 of Zhang et al. (SSPL), NeurIPS 2022.

The average is torch's own. `torch.optim.swa_utils.AveragedModel` around it would differ from the
papers twice: its first update copies the weights, and every update copies the buffers.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MomentumEncoder(nn.Module):
    r"""A copy of an encoder whose parameters follow it as a moving average.

    .. math:: \theta_t \leftarrow \lambda \theta_t + (1 - \lambda) \theta_s

    The copy starts equal to the encoder and has no gradients. Its buffers, such as the statistics
    of batch normalisation, are its own: they change by its forward passes only, as in MoCo.

    Args:
        encoder: copied, not kept.
        momentum: the lambda, a fraction in [0, 1].

    Raises:
        ValueError: if momentum lies outside [0, 1].

    Example:
        >>> import torch
        >>> encoder = torch.nn.Linear(1, 1, bias=False)
        >>> _ = encoder.weight.data.fill_(1.0)
        >>> teacher = MomentumEncoder(encoder, momentum=0.75)
        >>> _ = encoder.weight.data.fill_(3.0)
        >>> teacher.update(encoder)
        >>> teacher(torch.ones(1, 1))
        tensor([[1.5000]])
    """

    def __init__(self, encoder: nn.Module, momentum: float = 0.999) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.momentum = momentum

    def update(self, encoder: nn.Module) -> None:
        """Move the parameters towards those of the encoder; call after the optimiser's step.

        Args:
            encoder: the module given at the start, or a wrapper around it.

        Raises:
            ValueError: if its parameters are not as many, or not of the same shapes.
        """
        own: list[Tensor] = list(self.encoder.parameters())
        other: list[Tensor] = list(encoder.parameters())
        if [p.shape for p in own] != [p.shape for p in other]:
            raise ValueError("encoder must have the parameters of the copy, got other shapes")
        get_ema_multi_avg_fn(self.momentum)(own, other, 0)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the copy makes of the same arguments, without a graph."""
        return self.encoder(*args, **kwargs)
