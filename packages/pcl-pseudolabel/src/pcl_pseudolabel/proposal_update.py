"""One class and one centre for all points of a proposal.

Chu et al., "TWIST", CVPR 2022, sec. 4.3 (module C, Eqs. 6 to 8).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_finite
from pcl_pseudolabel.pseudo_labels import MAX_LABEL, PseudoLabels


@checked
def update_pseudo_labels(
    points: Float[Tensor, "n 3"],
    offsets: Float[Tensor, "n 3"],
    proposals: Int[Tensor, " n"],
    proposal_labels: Int[Tensor, " m"],
    proposal_scores: Float[Tensor, " m"],
    *,
    threshold: float = 0.5,
) -> PseudoLabels:
    r"""The pseudo-labels that trusted proposals give their points, Eqs. 6 to 8 of TWIST.

    .. math:: \tilde S_i = \hat e_j, \quad
              \tilde a_j = \frac{1}{N_j} \sum_{i \in g_j} (p_i + \hat o_i), \quad
              \tilde O_i = \tilde a_j - p_i \qquad (i \in g_j,\ \hat v_j > threshold)

    Args:
        points: metres.
        offsets: predicted centroid offsets, metres.
        proposals: the proposal of each point, -1 none.
        proposal_labels: class of each proposal, from `Recorrection.rectify`, or from
            `vote_proposal_labels` without a re-correction module.
        proposal_scores: certainty of each; ones trust them all.
        threshold: a proposal is trusted strictly above it.

    Returns:
        `labels`, `centroid_offsets` and `valid` of each point, in this order when unpacked, and
        the centres of the proposals.

    Raises:
        ValueError: if lengths differ, a point's proposal has no label or is below -1, or a value is
            not finite.

    Example:
        >>> import torch
        >>> labels, offsets, valid = update_pseudo_labels(
        ...     torch.tensor([[0.0, 0, 0], [2, 0, 0]]),
        ...     torch.zeros(2, 3),
        ...     torch.tensor([0, 0]),
        ...     torch.tensor([5]),
        ...     torch.tensor([0.9]),
        ... )
        >>> offsets
        tensor([[ 1.,  0.,  0.],
                [-1.,  0.,  0.]])
    """
    check_finite(points=points, offsets=offsets)
    centers = proposal_centers(points, offsets, proposals, len(proposal_labels))
    valid = proposals >= 0
    valid[valid.clone()] = (proposal_scores > threshold)[proposals[valid]]
    labels = torch.full_like(proposals, -1, dtype=proposal_labels.dtype)
    labels[valid] = proposal_labels[proposals[valid]]  # Eq. 6
    trusted = torch.where(valid, proposals, -1)
    return PseudoLabels(labels, trusted, centers, proposal_scores, proposal_labels, points)


@checked
def proposal_centers(
    points: Float[Tensor, "n 3"],
    offsets: Float[Tensor, "n 3"],
    proposals: Int[Tensor, " n"],
    n_proposals: int,
) -> Float[Tensor, "m 3"]:
    """Mean of point plus offset over each proposal, Eq. 7 of TWIST, in metres.

    Args:
        points: metres.
        offsets: predicted centroid offsets, metres.
        proposals: the proposal of each point, -1 none.
        n_proposals: how many proposals there are; the centre of one without points is zero.

    Raises:
        ValueError: if lengths differ, or a proposal is not in [-1, n_proposals).
    """
    _check_range(proposals, n_proposals)
    inside = proposals >= 0
    index, shifted = proposals[inside], (points + offsets)[inside]
    counts = index.bincount(minlength=n_proposals).clamp(min=1)
    # Summed in double precision: a float sum over a large proposal drifts by millimetres.
    sums = points.new_zeros(n_proposals, 3, dtype=torch.float64)
    return (sums.index_add(0, index, shifted.double()) / counts[:, None]).to(points.dtype)


@checked
def vote_proposal_labels(
    labels: Int[Tensor, " n"], proposals: Int[Tensor, " n"], n_proposals: int
) -> Int[Tensor, " m"]:
    """The commonest label among each proposal's points (TWIST, Table 4, row V).

    Label -1 does not vote; ties go to the lowest label; a proposal without a vote has -1.

    Args:
        labels: predicted train ids, -1 none.
        proposals: the proposal of each point, -1 none.
        n_proposals: how many proposals there are.

    Raises:
        ValueError: if lengths differ, or a proposal is not in [-1, n_proposals).

    Example:
        >>> import torch
        >>> vote_proposal_labels(torch.tensor([4, 2, 2, -1]), torch.tensor([0, 0, 0, 1]), 2)
        tensor([ 2, -1])
    """
    _check_range(proposals, n_proposals)
    if len(labels) and labels.max() >= MAX_LABEL:
        raise ValueError(f"labels must be below {MAX_LABEL}, got {int(labels.max())}")
    votes = (labels >= 0) & (proposals >= 0)
    if not votes.any():
        return labels.new_full((n_proposals,), -1)
    n_classes = int(labels.max()) + 1
    key = proposals[votes] * n_classes + labels[votes]
    counts = key.bincount(minlength=n_proposals * n_classes).view(n_proposals, n_classes)
    most = counts.amax(dim=1)
    label = (counts == most[:, None]).to(torch.uint8).argmax(dim=1)  # the lowest of the maxima
    return torch.where(most > 0, label, -1).to(labels.dtype)


@checked
def proposal_confidence(
    probabilities: Float[Tensor, "n c"],
    proposals: Int[Tensor, " n"],
    proposal_labels: Int[Tensor, " m"],
) -> Float[Tensor, " m"]:
    """Mean softmax of a proposal's class over its points: the score of an instance (CSC's code).

    Args:
        probabilities: softmax of each point.
        proposals: the proposal of each point, -1 none.
        proposal_labels: the class of each proposal.

    Raises:
        ValueError: if lengths differ, or a proposal has no class of the probabilities, or no point.

    Example:
        >>> import torch
        >>> probabilities = torch.tensor([[0.5, 0.5], [0.0, 1.0], [0.9, 0.1]])
        >>> proposal_confidence(probabilities, torch.tensor([0, 0, -1]), torch.tensor([1]))
        tensor([0.7500])
    """
    n_proposals, n_classes = len(proposal_labels), probabilities.shape[1]
    _check_range(proposals, n_proposals)
    if n_proposals and not 0 <= proposal_labels.min() <= proposal_labels.max() < n_classes:
        bounds = [int(label) for label in proposal_labels.aminmax()]
        raise ValueError(f"proposal_labels must lie in [0, {n_classes}), got {bounds}")
    inside = proposals >= 0
    owner = proposals[inside]
    sizes = owner.bincount(minlength=n_proposals)
    if n_proposals and not sizes.all():
        raise ValueError(f"proposals must name each of {n_proposals}, got none of {sizes.argmin()}")
    of_class = probabilities[inside, proposal_labels[owner]].double()
    sums = of_class.new_zeros(n_proposals).index_add(0, owner, of_class)
    return (sums / sizes).to(probabilities.dtype)


def _check_range(proposals: Int[Tensor, " n"], n_proposals: int) -> None:
    if n_proposals < 0:
        raise ValueError(f"n_proposals must be at least 0, got {n_proposals}")
    if len(proposals) and proposals.min() < -1:
        raise ValueError(f"proposals must be at least -1, got {int(proposals.min())}")
    if len(proposals) and proposals.max() >= n_proposals:
        highest = int(proposals.max())
        raise ValueError(f"proposals must be below n_proposals = {n_proposals}, got {highest}")
