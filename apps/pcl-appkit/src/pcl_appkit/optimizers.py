"""The optimisers of the published work, by name."""

from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

OptimizerKind = Literal["sgd", "adamw"]


def make_optimizer(
    module: nn.Module,
    kind: OptimizerKind,
    learning_rate: float,
    *,
    weight_decay: float,
    momentum: float = 0.9,
    dampening: float = 0.1,
) -> Optimizer:
    """An optimiser of every parameter of a module.

    Args:
        module: what is trained.
        kind: `sgd`, or `adamw`, which learns in fewer steps.
        learning_rate: before any schedule.
        weight_decay: of every parameter.
        momentum: of SGD.
        dampening: of SGD.

    Raises:
        ValueError: if there is no such kind.
    """
    if kind == "adamw":
        return AdamW(module.parameters(), learning_rate, weight_decay=weight_decay)
    if kind != "sgd":
        raise ValueError(f"optimizer must be sgd or adamw, got {kind}")
    return SGD(
        module.parameters(),
        lr=learning_rate,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
    )
