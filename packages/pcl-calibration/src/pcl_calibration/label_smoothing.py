"""Targets that give some of their mass to other classes, above all to similar and to rare ones.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, sec. 3.1,
Eq. 2 and 3. A smoothing is a matrix (c, c): row i is what the mass taken from class i turns into.
Beside that of the paper: the uniform one of Szegedy et al., "Rethinking the Inception
Architecture", CVPR 2016, sec. 7, and that by confusion of He et al., "Relieving Long-tailed
Instance Segmentation via Pairwise Class Balance", CVPR 2022.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Real
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.probability_values import (
    at_least_single,
    check_n_classes,
    check_range,
    check_row_sums,
)

Orientation = Literal["row", "paper_literal"]
# Weights of Eq. 2 beyond it overflow; the softmax of such exponents is its limit already.
LARGEST_WEIGHT = 1e300


@checked
def similarity_smoothing(
    similarity: Float[Tensor, "c c"],
    counts: Real[Tensor, " c"],
    *,
    gamma: float | int = 1.5,
    count_normalizer: float | int | None = None,
    exclude_unseen: bool = False,
) -> Float[Tensor, "c c"]:
    r"""Smoothing towards similar classes, and more so towards rare ones (Eq. 2).

    .. math:: S'_{ij} = \frac{\exp(S_{ij} / N_j^\gamma)}{\sum_k \exp(S_{ik} / N_k^\gamma)}

    with the similarity S_ij of classes i and j and the number N_j of instances of class j. With
    counts as they are, every class of ten or more instances has a weight close to exp(0): the
    result is near to uniform, with up to e times the weight for similar classes of one to three
    instances. For counts of points or voxels give a `count_normalizer`, by which N_j is divided;
    the smallest count keeps the exponents within [-1, 1], and a larger one sharpens them.

    Args:
        similarity: cosines, as of `class_similarity`.
        counts: N_j, of the split that is trained on. A class without an instance counts as
            `count_normalizer`, or as 1.
        gamma: how much rarity matters; 0 is similarity alone, and the paper takes 1.5.
        count_normalizer: the count that becomes 1; counts as they are by default.
        exclude_unseen: whether classes without an instance get nothing.

    Returns:
        Rows that sum to one, in double precision.

    Raises:
        ValueError: if there are fewer than 2 classes, gamma is negative, count_normalizer is not
            positive, either is not finite, no class is seen where unseen ones are excluded, or (on
            a CPU) a similarity is outside [-1, 1] or a count negative.

    Example:
        >>> import torch
        >>> similarity = torch.tensor([[1.0, 0.5, 0.5], [0.5, 1.0, 0.0], [0.5, 0.0, 1.0]])
        >>> similarity_smoothing(similarity, torch.tensor([900, 900, 1]))[0]
        tensor([0.2741, 0.2741, 0.4519], dtype=torch.float64)
    """
    check_n_classes(len(similarity))
    if not (gamma >= 0 and math.isfinite(gamma)):
        raise ValueError(f"gamma must be at least 0 and finite, got {gamma}")
    reference = 1 if count_normalizer is None else count_normalizer
    if not (reference > 0 and math.isfinite(reference)):
        raise ValueError(f"count_normalizer must be positive and finite, got {count_normalizer}")
    check_range(-1, 1, similarity=similarity)
    check_range(0, math.inf, counts=counts)
    is_seen = counts > 0
    rarity = (counts.double() / reference).where(is_seen, 1).pow(-gamma)
    exponents = similarity.double() * rarity.clamp(max=LARGEST_WEIGHT)  # column j by N_j
    if exclude_unseen:
        if not is_seen.any():
            raise ValueError("counts must hold a class with an instance, got none")
        exponents = exponents.masked_fill(~is_seen, -math.inf)
    return exponents.softmax(dim=1)


def uniform_smoothing(n_classes: int) -> Float[Tensor, "c c"]:
    """Smoothing towards all classes alike, each 1 / c, in double precision.

    Raises:
        ValueError: if there are fewer than 2 classes.

    Example:
        >>> uniform_smoothing(2)
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]], dtype=torch.float64)
    """
    check_n_classes(n_classes)
    return torch.full((n_classes, n_classes), 1 / n_classes, dtype=torch.double)


@checked
def confusion_smoothing(confusion: Real[Tensor, "c c"]) -> Float[Tensor, "c c"]:
    r"""Smoothing towards the classes that are mistaken for this one (He et al., CVPR 2022).

    .. math:: S'_{ij} = \frac{M_{ji}}{\sum_k M_{ki}}, \quad
              M_{ij} = \frac{\text{confusion}_{ij}}{\sum_k \text{confusion}_{ik}}

    This is the chance that the truth is j where i is predicted, if all classes were equally
    frequent. A frequent class that rare ones are mistaken for gives mass to them. A class that is
    never predicted is not smoothed; one without a sample gets nothing from others.

    Args:
        confusion: rows = truth, columns = prediction; counts, or sums of probabilities.

    Returns:
        Rows that sum to one, in double precision.

    Raises:
        ValueError: if there are fewer than 2 classes or (on a CPU) an entry is negative or NaN.

    Example:
        >>> import torch
        >>> confusion_smoothing(torch.tensor([[90, 10], [3, 1]]))
        tensor([[0.5455, 0.4545],
                [0.2857, 0.7143]], dtype=torch.float64)
    """
    check_n_classes(len(confusion))
    check_range(0, math.inf, confusion=confusion)
    rates = _rows_over_sums(confusion.double(), torch.zeros_like(confusion, dtype=torch.double))
    return _rows_over_sums(rates.T, torch.eye(len(rates), dtype=torch.double, device=rates.device))


@checked
def smooth_labels(
    targets: Float[Tensor, "n c"],
    smoothing: Float[Tensor, "c c"],
    *,
    epsilon: float | int = 0.1,
    orientation: Orientation = "row",
) -> Float[Tensor, "n c"]:
    r"""Targets of which the part epsilon is smoothed (Eq. 3).

    .. math:: \tilde y = (1 - \epsilon) y + \epsilon S'^\top y

    Of a one-hot target S'^T y is the row of its class, which sums to one and moves mass to rare
    classes, as the text of the paper intends. Its Eq. 3 reads S' y, the column of the class, which
    does neither: `orientation="paper_literal"`. A row of zeros (background of sigmoid heads) stays.

    Args:
        targets: one-hot or soft; a row sums to at most one.
        smoothing: as of `similarity_smoothing`; used in the type and on the device of the targets.
        epsilon: in [0, 1]; the paper takes 0.1.
        orientation: "row", or "paper_literal".

    Returns:
        Values in [0, 1], in the type of the targets; sums of rows stay, except for the literal
        form.

    Raises:
        ValueError: if there are fewer than 2 classes, epsilon or orientation is none, or (on a CPU)
            a value is outside [0, 1], a row of targets sums to more than one or a row of smoothing
            does not sum to one.

    Example:
        >>> import torch
        >>> smooth_labels(torch.eye(2), uniform_smoothing(2), epsilon=0.2)
        tensor([[0.9000, 0.1000],
                [0.1000, 0.9000]])
    """
    check_n_classes(len(smoothing))
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon must lie in [0, 1], got {epsilon}")
    if orientation not in ("row", "paper_literal"):
        raise ValueError(f"orientation must be 'row' or 'paper_literal', got {orientation!r}")
    check_range(0, 1, targets=targets, smoothing=smoothing)
    check_row_sums(0, 1, targets=targets)
    check_row_sums(1, 1, smoothing=smoothing)
    exact = at_least_single(targets)
    with torch.autocast(targets.device.type, enabled=False):
        smoothed = exact @ (smoothing if orientation == "row" else smoothing.T).to(exact)
    return ((1 - epsilon) * exact + epsilon * smoothed).to(targets)


def _rows_over_sums(
    values: Float[Tensor, "c c"], without: Float[Tensor, "c c"]
) -> Float[Tensor, "c c"]:
    """Rows over their sums; where a sum is zero, the row of `without`."""
    sums = values.sum(dim=1, keepdim=True)
    return (values / sums).where(sums > 0, without)
