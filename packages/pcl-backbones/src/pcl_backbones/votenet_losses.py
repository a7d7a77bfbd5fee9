"""The loss of VoteNet: votes, objectness, boxes and classes.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds", ICCV 2019, eq. 1 and 2 and
the supplement, with the weights of its code:

    L = 10 (L_vote + 0.5 L_objectness + L_box + 0.1 L_semantic)
    L_box = L_center + 0.1 L_heading_class + L_heading + 0.1 L_size_class + L_size

A proposal is positive if the centre of a box is nearer than 0.3 m to its cluster of votes and
negative if none is nearer than 0.6 m; between them it is left out. Its box is the nearest one. All
means are sums over what counts, divided by its number plus 1e-6: 0 where nothing counts, as in
scenes without boxes. Padding is never the nearest box; in the published code it may be, at the
origin.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss

from pcl_backbones.box_coding import BoxCode, BoxCoding
from pcl_backbones.votenet import Proposals, VoteNetOutput
from pcl_backbones.votenet_targets import BatchTargets

NEAR, FAR = 0.3, 0.6  # metres
OBJECTNESS_WEIGHTS = (0.2, 0.8)  # of no object and of an object
EPSILON = 1e-6


class VoteNetLoss(NamedTuple):
    """The loss and its parts, without their weights.

    Attributes:
        total: what to minimise.
        vote: L1 distance of votes to the nearest of their targets, metres.
        objectness: cross entropy of object or none.
        center: squared distances between centres and those of the boxes, both ways.
        heading_class: cross entropy of the bin of the heading.
        heading: Huber loss of its residual.
        size_class: cross entropy of the class of size.
        size: Huber loss of its residual.
        semantic: cross entropy of the class.
    """

    total: Float[Tensor, ""]
    vote: Float[Tensor, ""]
    objectness: Float[Tensor, ""]
    center: Float[Tensor, ""]
    heading_class: Float[Tensor, ""]
    heading: Float[Tensor, ""]
    size_class: Float[Tensor, ""]
    size: Float[Tensor, ""]
    semantic: Float[Tensor, ""]


def votenet_loss(output: VoteNetOutput, targets: BatchTargets, coding: BoxCoding) -> VoteNetLoss:
    """The loss of a batch and its parts; the equations are above.

    Args:
        output: of the network.
        targets: of its seeds, from `batch_targets(scenes, output.index)`.
        coding: that of the network.

    Raises:
        ValueError: if the targets are of other scenes or seeds, or, on a CPU, hold what `coding`
            cannot encode.
    """
    proposals = output.proposals
    _check(output, targets)
    vote = vote_loss(output, targets)
    squared = _squared_distances(proposals.points, targets)
    nearest, box = squared.min(dim=2)
    is_positive = nearest < NEAR**2
    counts = is_positive | (nearest > FAR**2)
    objectness = objectness_loss(proposals.objectness, is_positive, counts)
    center = center_loss(proposals.centers, is_positive, targets)

    row = torch.arange(len(box), device=box.device).unsqueeze(1)
    code = coding.encode(targets.boxes[row, box], targets.labels[row, box])
    heading_class, heading, size_class, size = _box_losses(proposals, code, is_positive)
    semantic = _mean(_cross_entropy(proposals.classes, code.size_class), is_positive)
    boxes = center + 0.1 * heading_class + heading + 0.1 * size_class + size
    total = 10 * (vote + 0.5 * objectness + boxes + 0.1 * semantic)
    parts = (vote, objectness, center, heading_class, heading, size_class, size, semantic)
    return VoteNetLoss(total, *parts)


def vote_loss(output: VoteNetOutput, targets: BatchTargets) -> Float[Tensor, ""]:
    """Mean L1 distance, over seeds on objects, of the vote to the nearest of the target votes."""
    wanted = output.seeds.unsqueeze(2) + targets.votes
    distance = (output.votes.unsqueeze(2) - wanted).abs().sum(dim=3).amin(dim=2)
    return _mean(distance, targets.on_object)


def objectness_loss(
    logits: Float[Tensor, "b p 2"], is_positive: Bool[Tensor, "b p"], counts: Bool[Tensor, "b p"]
) -> Float[Tensor, ""]:
    """Mean cross entropy over the proposals that count, times 0.2 for negatives, 0.8 for others."""
    weights = logits.new_tensor(OBJECTNESS_WEIGHTS)[is_positive.long()]
    return _mean(weights * _cross_entropy(logits, is_positive.long()), counts)


def center_loss(
    centers: Float[Tensor, "b p 3"], is_positive: Bool[Tensor, "b p"], targets: BatchTargets
) -> Float[Tensor, ""]:
    """Chamfer distance: from positive proposals to the boxes, and from boxes to any proposal.

    Distances are squared; each is that of the nearest, and both directions are means.
    """
    squared = _squared_distances(centers, targets)
    to_boxes = _mean(squared.amin(dim=2), is_positive)
    return to_boxes + _mean(squared.amin(dim=1), targets.is_box)


def _box_losses(
    proposals: Proposals, code: BoxCode, is_positive: Bool[Tensor, "b p"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of heading class, heading residual, size class and size residual."""
    turn, change = proposals.residuals_of(code.heading_class, code.size_class)
    return (
        _mean(_cross_entropy(proposals.headings, code.heading_class), is_positive),
        _mean(_huber(turn, code.heading_residual), is_positive),
        _mean(_cross_entropy(proposals.sizes, code.size_class), is_positive),
        _mean(_huber(change, code.size_residual).mean(dim=2), is_positive),
    )


def _squared_distances(
    points: Float[Tensor, "b p 3"], targets: BatchTargets
) -> Float[Tensor, "b p k"]:
    """To the centre of each box, infinite where there is none."""
    difference = points.unsqueeze(2) - targets.boxes[:, None, :, :3]
    return difference.square().sum(dim=3).masked_fill(~targets.is_box.unsqueeze(1), torch.inf)


def _mean(values: Tensor, counts: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    return torch.where(counts, values, 0).sum() / (counts.sum().to(values.dtype) + EPSILON)


def _cross_entropy(logits: Float[Tensor, "b p c"], labels: Tensor) -> Float[Tensor, "b p"]:
    return cross_entropy(logits.transpose(1, 2), labels, reduction="none")


def _huber(values: Tensor, wanted: Tensor) -> Tensor:
    return huber_loss(values, wanted, reduction="none", delta=1.0)


def _check(output: VoteNetOutput, targets: BatchTargets) -> None:
    wanted, got = tuple(output.index.shape), tuple(targets.on_object.shape)
    if got != wanted:
        raise ValueError(f"targets must be of the seeds {wanted} of the output, got {got}")
