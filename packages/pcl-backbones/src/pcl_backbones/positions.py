"""Positions of points as searches among them read them."""

from functools import reduce

import torch
from torch import Tensor

FAR = 1e18  # metres: squared distances stay finite in float32


def positions(**points: Tensor) -> list[Tensor]:
    """The points, by their names, contiguous, without gradients, in one type of 32 bits at least.

    Raises:
        ValueError: naming the first points that are not finite or too far from zero.

    Example:
        >>> positions(points=torch.ones(1, 3, dtype=torch.float16))
        [tensor([[1., 1., 1.]])]
    """
    for name, values in points.items():
        if not bool((values.abs() < FAR).all()):  # also catches NaN
            raise ValueError(f"{name} must be finite and within {FAR:g} of zero, got others")
    kinds = (values.dtype for values in points.values())
    widest = reduce(torch.promote_types, kinds, torch.float32)
    return [values.detach().to(widest).contiguous() for values in points.values()]
