"""What one training step minimises: Eqs. 1 to 5 of TWIST.

Chu et al., "TWIST", CVPR 2022, sections 4 and 4.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pcl_methods.segmentation.losses import segmentation_losses
from pcl_methods.segmentation.network import VoxelPrediction
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.proposals import count_proposals, limit_proposals
from pcl_methods.self_training.teacher import Teacher
from pcl_pseudolabel import (
    matched_labels,
    mutate_proposals,
    proposal_iou,
    recorrection_loss,
    transform_proposals,
)

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class RecorrectorTraining:
    """How Ψ learns from the proposals of labeled scenes; every row of Table 6 is one of these.

    Args:
        first_step: of round 0: before it the proposals are noise.
        max_proposals: of a batch.
        mutate: crop and expand proposals.
        transform: rotate, shift and scale proposals.
    """

    first_step: int = 1000
    max_proposals: int = 200
    mutate: bool = True
    transform: bool = True


def twist_losses(
    model: TwistModel,
    batch: Mapping[str, Tensor],
    recorrection: RecorrectorTraining | None,
    teacher: Teacher | None = None,
    class_targets: Tensor | None = None,
) -> Losses:
    """The losses of a batch; `loss` is their sum.

    Eq. 4 is a mean over all points of the unlabeled scenes, its N, and not over those that have a
    pseudo-label: a scene of which little is trusted weighs little.

    Args:
        model: in training mode.
        batch: of `twist_batches`.
        recorrection: how Ψ learns; none: it does not.
        teacher: gives unlabeled voxels soft targets besides; none: there are none.
        class_targets: (k, k) what is learned of each annotated class; none: the class alone.
    """
    prediction = model.network(batch["coords"], batch["features"])
    is_labeled, losses = batch["is_labeled"], {}
    if is_labeled.any():  # L^l, Eqs. 1 and 2
        found = segmentation_losses(prediction, batch, is_labeled, class_targets=class_targets)
        losses |= _named("labeled", found)
    if not is_labeled.all():  # L^u, Eq. 4
        found = segmentation_losses(prediction, batch, ~is_labeled, over_all=True)
        losses |= _named("unlabeled", found)
        if teacher is not None:
            losses["taught"] = teacher.loss(prediction.logits, batch, ~is_labeled)
    if recorrection is not None:  # L^Ψ, Eq. 5 and the cross-entropy of the class
        losses |= recorrection_losses(model, prediction, batch, recorrection)
    return {"loss": torch.stack(list(losses.values())).sum(), **losses}  # Eq. 3, and L^Ψ


def recorrection_losses(
    model: TwistModel,
    prediction: VoxelPrediction,
    batch: Mapping[str, Tensor],
    settings: RecorrectorTraining,
) -> Losses:
    """L^Ψ on the proposals of the labeled scenes; none where there is no proposal."""
    rows = batch["is_labeled"]
    points, batch_index, instances = (
        batch[key][rows] for key in ("points", "batch_index", "instances")
    )
    features = model.recorrector_input(prediction, batch["features"])[rows]
    proposals = model.propose(points, prediction, batch_index, rows)
    proposals = limit_proposals(proposals, settings.max_proposals)
    n_proposals = count_proposals(proposals)
    if n_proposals == 0:
        return {}
    # Augmentation: other content, then another place and shape.
    if settings.mutate:
        point_index, proposal_index = mutate_proposals(
            points, batch_index, proposals, min_points=model.clustering.min_points
        )
    else:
        point_index = torch.nonzero(proposals >= 0).flatten()
        proposal_index = proposals[point_index]
    members = points[point_index]
    if settings.transform:
        members = transform_proposals(members, proposal_index, n_proposals)
    # Targets: IoU with the best true instance, and its class.
    match = proposal_iou(point_index, proposal_index, n_proposals, instances)
    target = matched_labels(match.instance, instances, batch["labels"][rows])
    output = model.recorrector(members, features[point_index], proposal_index, n_proposals)
    loss = recorrection_loss(output.class_logits, output.score_logits, match.iou, target)
    return {"recorrector_class": loss.label, "recorrector_score": loss.score}


def _named(prefix: str, losses: Losses) -> Losses:
    return {f"{prefix}_{key}": value for key, value in losses.items()}
