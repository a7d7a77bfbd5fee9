"""Pseudo-labels of single points that the network is sure of.

The point-wise baselines that TWIST (Chu et al., CVPR 2022) is compared with in Table 4, and
confident walls and floors, which its proposals leave out.
"""

from collections.abc import Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_finite
from pcl_pseudolabel.pseudo_labels import PseudoLabels


@checked
def threshold_pseudo_labels(
    probabilities: Float[Tensor, "n c"],
    offsets: Float[Tensor, "n 3"],
    *,
    threshold: float = 0.9,
    stuff: Collection[int] = (),
    points: Float[Tensor, "n 3"] | None = None,
) -> PseudoLabels:
    """Predictions of confident points as they are: the point-wise baselines (Table 4, II to IV).

    An offset has no confidence of its own, so it is taken where the class is confident: each such
    point is its own proposal, with a score of 1.

    Args:
        probabilities: softmax of each point.
        offsets: predicted centroid offsets, metres.
        threshold: a point is confident strictly above it.
        stuff: classes without instances; their points get no offset.
        points: metres; all at zero by default, where offsets are centres.

    Raises:
        ValueError: if lengths differ, there is no class, or a probability or the threshold is
            outside [0, 1].

    Example:
        >>> import torch
        >>> probabilities = torch.tensor([[0.95, 0.05], [0.4, 0.6]])
        >>> threshold_pseudo_labels(probabilities, torch.ones(2, 3)).labels
        tensor([ 0, -1])
    """
    points = torch.zeros_like(offsets) if points is None else points
    check_finite(offsets=offsets, points=points)
    labels = _confident_labels(probabilities, threshold)
    valid = (labels >= 0) & ~torch.isin(labels, labels.new_tensor(sorted(stuff)))
    centers = (points + offsets)[valid]
    return PseudoLabels(
        labels,
        torch.where(valid, valid.cumsum(0) - 1, -1),
        centers,
        centers.new_ones(len(centers)),
        labels[valid],
        points,
    )


@checked
def stuff_pseudo_labels(
    labels: Int[Tensor, " n"],
    probabilities: Float[Tensor, "n c"],
    stuff: Collection[int],
    *,
    threshold: float = 0.9,
) -> Int[Tensor, " n"]:
    """Pseudo-labels with confident stuff filled in where there was none.

    Args:
        labels: pseudo-labels so far, -1 none.
        probabilities: softmax of each point.
        stuff: train ids that may be filled in, such as wall and floor.
        threshold: a point is confident strictly above it.

    Raises:
        ValueError: if lengths differ, there is no class, or a probability or the threshold is
            outside [0, 1].

    Example:
        >>> import torch
        >>> probabilities = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.02, 0.98]])
        >>> stuff_pseudo_labels(torch.tensor([1, -1, -1]), probabilities, [0])
        tensor([ 1,  0, -1])
    """
    confident = _confident_labels(probabilities, threshold)
    fill = (labels < 0) & torch.isin(confident, confident.new_tensor(sorted(stuff)))
    return torch.where(fill, confident.to(labels.dtype), labels)


def _confident_labels(probabilities: Float[Tensor, "n c"], threshold: float) -> Int[Tensor, " n"]:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
    if probabilities.shape[1] == 0:
        raise ValueError(f"probabilities must have a class, got {tuple(probabilities.shape)}")
    if len(probabilities):
        low, high = probabilities.aminmax()
        if not (low >= 0 and high <= 1):  # also catches NaN
            raise ValueError(f"probabilities must lie in [0, 1], got [{low:.3g}, {high:.3g}]")
    confidence, labels = probabilities.max(dim=1)
    return torch.where(confidence > threshold, labels, -1)
