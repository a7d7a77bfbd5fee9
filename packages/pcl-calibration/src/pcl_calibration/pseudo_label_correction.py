"""Soft pseudo-labels shifted by what the teacher is known to get wrong, class by class.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, sec. 3.2,
Eq. 5. The error is that of Eq. 4, measured on held-out labeled data.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.probability_values import (
    Head,
    at_least_single,
    check_head,
    check_range,
    check_row_sums,
)


@torch.no_grad()
@checked
def correct_pseudo_labels(
    probabilities: Float[Tensor, "n c"],
    error: Float[Tensor, " c"],
    *,
    strength: float | int = 2.0,
    head: Head = "sigmoid",
    support: float | int | None = None,
    background: int | None = None,
) -> Float[Tensor, "n c"]:
    r"""Probabilities of the teacher, each class shifted by its calibration error (Eq. 5).

    .. math:: \tilde y = y + \lambda \Delta

    with the signed error Delta_i, accuracy minus confidence of class i, and the strength lambda.
    The paper does not say what becomes of values outside [0, 1]. Here those of a sigmoid head are
    clipped. Those of a softmax head are clipped at zero and rescaled to sum to one, less the
    background; a row of which the clipping leaves nothing stays as it came.

    As written, Eq. 5 gives every instance something of each class that the teacher is unsure of;
    with many classes take `support`.

    Args:
        probabilities: of the teacher, one row an instance, point or voxel.
        error: Delta, in [-1, 1]; 0 for a class without a sample.
        strength: lambda, at least 0; the paper takes 2.
        head: "softmax" if rows sum to one, else "sigmoid".
        support: shift only the classes with a probability above it, in [0, 1]; all by default.
        background: a class that keeps its probability.

    Returns:
        Values in [0, 1] without gradient, in the type of the probabilities.

    Raises:
        ValueError: if there are too few classes (2 for softmax, 1 for sigmoid), strength is
            negative or not finite, head is none, support is outside [0, 1], background is no class,
            or (on a CPU) a probability is outside [0, 1], a row of a softmax does not sum to one or
            an error is outside [-1, 1].

    Example:
        >>> import torch
        >>> error = torch.tensor(
        ...     [-0.25, 0.25, 0.0]
        ... )  # overconfident, underconfident, calibrated
        >>> correct_pseudo_labels(torch.tensor([[0.75, 0.0, 0.25]]), error, strength=1)
        tensor([[0.5000, 0.2500, 0.2500]])
        >>> correct_pseudo_labels(
        ...     torch.tensor([[0.75, 0.0, 0.25]]), error, strength=1, support=0.1
        ... )
        tensor([[0.5000, 0.0000, 0.2500]])
    """
    n_classes = probabilities.shape[1]
    _check_options(n_classes, strength, head, support, background)
    check_range(0, 1, probabilities=probabilities)
    check_range(-1, 1, error=error)
    if head == "softmax":
        check_row_sums(1, 1, probabilities=probabilities)
    given = at_least_single(probabilities).clamp(0, 1)
    is_foreground = torch.ones(n_classes, dtype=torch.bool, device=given.device)
    if background is not None:
        is_foreground[background] = False
    is_shifted = is_foreground if support is None else is_foreground & (given > support)
    corrected = (given + strength * error.to(given) * is_shifted).clamp(min=0)
    if head == "softmax":
        corrected = _rescaled(corrected, given, is_foreground)
    return corrected.clamp(max=1).to(probabilities.dtype)


def _rescaled(
    corrected: Float[Tensor, "n c"], given: Float[Tensor, "n c"], is_foreground: Bool[Tensor, " c"]
) -> Float[Tensor, "n c"]:
    """Rows that sum to one, by a factor of the foreground; as given where that is all zero."""
    mass = 1 - given.masked_fill(is_foreground, 0).sum(dim=1, keepdim=True)
    total = corrected.masked_fill(~is_foreground, 0).sum(dim=1, keepdim=True)
    return torch.where((total > 0) & is_foreground, corrected / total * mass, given)


def _check_options(
    n_classes: int,
    strength: float | int,
    head: str,
    support: float | int | None,
    background: int | None,
) -> None:
    check_head(head, n_classes)
    if not (strength >= 0 and math.isfinite(strength)):
        raise ValueError(f"strength must be at least 0 and finite, got {strength}")
    if support is not None and not 0 <= support <= 1:
        raise ValueError(f"support must lie in [0, 1], got {support}")
    if background is not None and not 0 <= background < n_classes:
        raise ValueError(f"background must lie in [0, {n_classes}), got {background}")
