"""How well a proposal fits the best of the true instances.

Chu et al., "TWIST", CVPR 2022, sec. 4.2: point-wise IoU with the best-matching instance of any
class, the full instance counted, is the target of the certainty score (Eq. 5).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_ids


class ProposalIou(NamedTuple):
    """The best match of each proposal."""

    iou: Float[Tensor, " m"]
    instance: Int[Tensor, " m"]


@checked
def proposal_iou(
    point_index: Int[Tensor, " k"],
    proposal_index: Int[Tensor, " k"],
    n_proposals: int,
    instances: Int[Tensor, " n"],
) -> ProposalIou:
    """IoU of each proposal with its best instance, and that instance.

    A proposal is given by (point, proposal) pairs, each pair once; proposals may overlap, as they
    do after `mutate_proposals`. Ties go to the lowest instance id.

    Args:
        point_index: a row of `instances`.
        proposal_index: the proposal that holds this point, below n_proposals.
        n_proposals: how many proposals there are.
        instances: true instance of each point, unique over the batch; -1 = none.

    Returns:
        iou in [0, 1], and instance; 0 and -1 for a proposal that touches no instance.

    Raises:
        ValueError: if lengths differ, n_proposals is negative, or (on a CPU) an index is out of
            range.

    Example:
        >>> import torch
        >>> instances = torch.tensor([7, 7, 7, -1])
        >>> proposal_iou(torch.tensor([1, 2, 3]), torch.tensor([0, 0, 0]), 1, instances)
        ProposalIou(iou=tensor([0.5000]), instance=tensor([7]))
    """
    if n_proposals < 0:
        raise ValueError(f"n_proposals must be at least 0, got {n_proposals}")
    check_ids(0, len(instances), point_index=point_index)
    check_ids(0, n_proposals, proposal_index=proposal_index)
    proposal_index = proposal_index.long()
    iou = torch.zeros(n_proposals, device=instances.device)
    best = instances.new_full((n_proposals,), -1)
    ids, of_point = instances.unique(return_inverse=True)
    hit = instances[point_index] >= 0
    key, overlap = (proposal_index * len(ids) + of_point[point_index])[hit].unique(
        return_counts=True
    )
    if len(key) == 0:
        return ProposalIou(iou, best)
    proposal, instance = key // len(ids), key % len(ids)
    proposal_size = proposal_index.bincount(minlength=n_proposals)
    union = proposal_size[proposal] + of_point.bincount()[instance] - overlap
    # In double precision equal ratios of counts are equal numbers, so ties are found exactly.
    ratio = overlap.double() / union
    highest = ratio.new_zeros(n_proposals).scatter_reduce(0, proposal, ratio, "amax")
    winner = ratio == highest[proposal]
    lowest = torch.full_like(best, len(ids)).scatter_reduce(
        0, proposal[winner], instance[winner].to(best.dtype), "amin"
    )
    found = lowest < len(ids)
    best[found] = ids[lowest[found]]
    return ProposalIou(highest.to(iou.dtype), best)


@checked
def matched_labels(
    instance: Int[Tensor, " m"], instances: Int[Tensor, " n"], labels: Int[Tensor, " n"]
) -> Int[Tensor, " m"]:
    """The class of each matched instance: the target of the re-correction module's class.

    Args:
        instance: matched instances, as returned by `proposal_iou`; each occurs in `instances`.
        instances: true instance of each point; -1 = none.
        labels: true class of each point, equal over an instance.

    Returns:
        Train ids, -1 where `instance` is -1.

    Raises:
        ValueError: if lengths differ, or an instance is none of `instances`.

    Example:
        >>> import torch
        >>> instances, labels = torch.tensor([7, 7, 9]), torch.tensor([2, 2, 5])
        >>> matched_labels(torch.tensor([9, -1]), instances, labels)
        tensor([ 5, -1])
    """
    ids, of_point = instances.unique(return_inverse=True)
    label_of = labels.new_full((len(ids),), -1)
    label_of[of_point] = labels
    matched = torch.full_like(instance, -1, dtype=labels.dtype)
    found = instance >= 0
    wanted = instance[found]
    place = torch.searchsorted(ids, wanted.to(ids.dtype)).clamp(max=len(ids) - 1)
    if len(wanted) and not (len(ids) and (ids[place] == wanted).all()):
        raise ValueError(f"instance must name instances that there are, got {wanted.tolist()[:9]}")
    matched[found] = label_of[place]
    return matched
