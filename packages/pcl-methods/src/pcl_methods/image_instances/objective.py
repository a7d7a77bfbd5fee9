r"""The loss of found objects: soft targets of classes, and only what is known of an image.

Matching, losses of masks and weights are those of Mask2Former (Cheng et al., CVPR 2022). The loss
of classes is the cross-entropy with the soft targets of Porcher et al., "Better (Pseudo-)Labels for
Semi-Supervised Instance Segmentation", 2024, over the classes K that are verified in an image
(Gupta et al., "LVIS", CVPR 2019) and `no object`:

.. math:: L = -\frac{1}{\sum_q w_q} \sum_q w_q \sum_{i \in K} \tilde y_{qi}
              \log \frac{\exp z_{qi}}{\sum_{j \in K} \exp z_{qj}}

with the target of a query scaled to sum to one over K. Queries without an object have the target
`no object` and the weight of that class (0.1); there, classes that are not exhaustive are not in K.
So a class gets no gradient from an image in which it is not verified. Where negatives are drawn
alike from all absent classes, such a loss over a part of the classes still estimates the odds
between classes (McFadden, "Modelling the Choice of Residential Location", 1978).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pcl_methods.image_instances.network import InstanceNetwork, InstanceOutputs, LayerOutputs


class InstanceTargets(NamedTuple):
    """What is learned of an image with m objects and c classes."""

    masks: Bool[Tensor, "m h w"]
    classes: Float[Tensor, "m c_and_none"]  # rows sum to one; the last class: no object
    verified: Bool[Tensor, " c"]  # classes of which it is known whether they are there
    exhaustive: Bool[Tensor, " c"]  # classes of which every object is among the m


def instance_losses(
    network: InstanceNetwork, outputs: InstanceOutputs, targets: Sequence[InstanceTargets]
) -> dict[str, Tensor]:
    """The loss, the sum over all layers, and its weighted parts: `classes`, `masks` and `dice`.

    Args:
        network: whose outputs they are.
        outputs: of b images.
        targets: of each.
    """
    criterion = network.criterion
    parts = [_of_layer(criterion, one, targets) for one in (outputs.last, *outputs.earlier)]
    sums = {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}
    return {"loss": torch.stack(list(sums.values())).sum(), **sums}


def class_loss(
    logits: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    known: Bool[Tensor, "n k"],
    weights: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """The weighted mean of the cross-entropy over known classes; 0 without rows.

    Args:
        logits: of n queries.
        targets: rows sum to one, some of it on known classes.
        known: the classes that a row is about.
        weights: of the rows, not negative.

    Example:
        >>> import torch
        >>> known = torch.tensor([[True, False, True]])
        >>> class_loss(torch.zeros(1, 3), torch.eye(3)[:1], known, torch.ones(1))  # log 2
        tensor(0.6931)
    """
    shares = targets * known
    shares = shares / shares.sum(dim=1, keepdim=True)
    logs = logits.float().masked_fill(~known, -torch.inf).log_softmax(dim=1)
    each = -(shares * logs.masked_fill(~known, 0)).sum(dim=1)
    return (weights * each).sum() / weights.sum().clamp(min=1e-12)


def _of_layer(
    criterion: Any, outputs: LayerOutputs, targets: Sequence[InstanceTargets]
) -> dict[str, Tensor]:
    matches = [
        _matched(criterion, LayerOutputs(*(values[i : i + 1] for values in outputs)), one)
        for i, one in enumerate(targets)
    ]
    rows = [
        _query_targets(len(logits), one, match, criterion.eos_coef)
        for logits, one, match in zip(outputs.class_logits, targets, matches, strict=True)
    ]
    wanted, known, weights = (torch.cat(values) for values in zip(*rows, strict=True))
    classes = class_loss(outputs.class_logits.flatten(0, 1), wanted, known, weights)
    masks = {"loss_mask": outputs.mask_logits.sum() * 0, "loss_dice": classes * 0}
    if sum(len(one.masks) for one in targets):
        labels = [one.masks.float() for one in targets]
        count = criterion.get_num_masks(labels, classes.device)
        masks = criterion.loss_masks(outputs.mask_logits, labels, matches, count)
    scale = criterion.weight_dict
    return {
        "classes": classes * scale["loss_cross_entropy"],
        "masks": masks["loss_mask"] * scale["loss_mask"],
        "dice": masks["loss_dice"] * scale["loss_dice"],
    }


def _matched(
    criterion: Any, outputs: LayerOutputs, target: InstanceTargets
) -> tuple[Tensor, Tensor]:
    """Queries of one image and the objects that they are matched to, by their likeliest class."""
    if not len(target.masks):
        nothing = torch.zeros(0, dtype=torch.long)
        return nothing, nothing
    labels = target.classes[:, :-1].argmax(dim=1)
    return criterion.matcher(
        outputs.mask_logits, outputs.class_logits, [target.masks.float()], [labels]
    )[0]


def _query_targets(
    n_queries: int, target: InstanceTargets, match: tuple[Tensor, Tensor], none_weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each query of an image: its target, the classes it is about, and its weight."""
    queries, objects = (places.to(target.classes.device) for places in match)
    one = target.classes.new_ones(1)
    nothing = torch.cat([torch.zeros_like(target.verified, dtype=one.dtype), one])
    wanted = nothing.repeat(n_queries, 1).index_copy(0, queries, target.classes[objects])
    of_empty, of_object = (
        torch.cat([classes, one.bool()])
        for classes in (target.verified & target.exhaustive, target.verified)
    )
    known = of_empty.repeat(n_queries, 1)
    known[queries] = of_object
    weights = one.mul(none_weight).repeat(n_queries)
    weights[queries] = 1
    return wanted, known, weights
