"""Values of probabilities and other fractions, checked where that costs next to nothing: on a CPU.

Bounds hold up to `ROUNDING`, or the precision of a coarser type: probabilities come from a softmax
in single or half precision, or from a file of four decimals.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Head = Literal["sigmoid", "softmax"]
ROUNDING = 1e-4


def check_range(low: float | int, high: float | int, **tensors: Tensor) -> None:
    """Return quietly if the tensors, by their names, are on a GPU or lie in [low, high].

    Raises:
        ValueError: naming the first one that does not; NaN lies nowhere.
    """
    for name, values in tensors.items():
        if values.device.type == "cpu" and values.numel():
            least, most = (float(value) for value in values.detach().aminmax())
            slack = _slack(values)
            if not (low - slack <= least and most <= high + slack):
                raise ValueError(f"{name} must lie in [{low}, {high}], got [{least:g}, {most:g}]")


def check_row_sums(low: int, high: int, **matrices: Tensor) -> None:
    """Return quietly if the matrices, by their names, are on a GPU or each row sum is in range.

    Raises:
        ValueError: naming the first one with a row that does not, and the sum farthest off.
    """
    for name, values in matrices.items():
        if values.device.type == "cpu" and values.numel():
            sums = values.detach().sum(dim=1)
            excess = (sums - sums.clamp(low, high)).abs()
            if not excess.max() <= _slack(values):
                wanted = f"{high}" if low == high else f"between {low} and {high}"
                worst = float(sums[excess.argmax()])
                raise ValueError(f"rows of {name} must sum to {wanted}, got {worst:g}")


def check_n_classes(n_classes: int, *, least: int = 2) -> None:
    """Return quietly if there are that many classes.

    Raises:
        ValueError: if there are fewer.
    """
    if n_classes < least:
        raise ValueError(f"n_classes must be at least {least}, got {n_classes}")


def check_head(head: str, n_classes: int) -> None:
    """Return quietly if there is such a head of so many classes: 2 for softmax, 1 for sigmoid.

    Raises:
        ValueError: if there is none.
    """
    if head not in ("sigmoid", "softmax"):
        raise ValueError(f"head must be 'sigmoid' or 'softmax', got {head!r}")
    check_n_classes(n_classes, least=2 if head == "softmax" else 1)


def at_least_single(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The values in double precision if they came so, in single precision otherwise."""
    return values if values.dtype == torch.double else values.float()


def _slack(values: Tensor) -> float:
    if not values.is_floating_point():
        return 0.0
    return max(ROUNDING, torch.finfo(values.dtype).eps)
