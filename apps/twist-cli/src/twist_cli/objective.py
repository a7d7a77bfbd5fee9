"""What one training step minimises: Eqs. 1 to 5 of TWIST.

Chu et al., "TWIST: Two-Way Inter-Label Self-Training for Semi-Supervised 3D Instance
Segmentation", CVPR 2022.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pcl_data import LabelSet
from pcl_pseudolabel import (
    ProposalRecorrector,
    cluster_proposals,
    matched_labels,
    mutate_proposals,
    offset_loss,
    proposal_iou,
    recorrection_loss,
    transform_proposals,
)
from twist_cli.config import RunConfig
from twist_cli.network import FeatureNetwork, VoxelPrediction

Losses = dict[str, Tensor]


class TwistObjective(nn.Module):
    """Φ and Ψ with their joint objective: `forward(batch, train_recorrector)` is L^Φ + L^Ψ."""

    def __init__(
        self,
        config: RunConfig,
        label_set: LabelSet,
        network: FeatureNetwork,
        recorrector: ProposalRecorrector,
    ) -> None:
        super().__init__()
        self.config, self.label_set = config, label_set
        self.network, self.recorrector = network, recorrector
        self.stuff = tuple(set(range(label_set.n_classes)) - set(label_set.things))

    def forward(self, batch: Mapping[str, Tensor], train_recorrector: bool) -> Losses:
        """The losses of a batch; `loss` is their sum."""
        prediction = self.network(batch["coords"], batch["colors"])
        losses = {}
        for name, rows in (("labeled", batch["is_labeled"]), ("unlabeled", ~batch["is_labeled"])):
            if rows.any():
                losses |= _scene_losses(name, prediction, batch, rows)
        if train_recorrector:
            losses |= self._recorrection_losses(prediction, batch)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def _recorrection_losses(
        self, prediction: VoxelPrediction, batch: Mapping[str, Tensor]
    ) -> Losses:
        """Eq. 5 and its class term, on the labelled half, features detached (TW-13)."""
        rows = batch["is_labeled"]
        points, batch_index = batch["points"][rows], batch["batch_index"][rows]
        features = detached_features(self.config, prediction, batch["colors"])[rows]
        proposals = limit_proposals(
            propose(self.config, self.stuff, points, prediction, batch_index, rows),
            self.config.twist.max_proposals,
        )
        n_proposals = int(proposals.max()) + 1 if len(proposals) else 0
        if n_proposals == 0:
            return {}
        if self.config.twist.mutate:
            point_index, proposal_index = mutate_proposals(
                points, batch_index, proposals, min_points=self.config.twist.min_points
            )
        else:
            point_index = torch.nonzero(proposals >= 0).flatten()
            proposal_index = proposals[point_index]
        instances = batch["instances"][rows]
        match = proposal_iou(point_index, proposal_index, n_proposals, instances)
        members = points[point_index]
        if self.config.twist.transform:
            members = transform_proposals(members, proposal_index, n_proposals)
        output = self.recorrector(members, features[point_index], proposal_index, n_proposals)
        target = matched_labels(match.instance, instances, batch["labels"][rows])
        loss = recorrection_loss(output.class_logits, output.score_logits, match.iou, target)
        return {"recorrector_class": loss.label, "recorrector_score": loss.score}


def _scene_losses(
    name: str, prediction: VoxelPrediction, batch: Mapping[str, Tensor], rows: Tensor
) -> Losses:
    """Eq. 1 on the labelled or Eq. 4 on the pseudo-labelled scenes of a batch.

    Means run over annotated points of labelled scenes, but over all points of pseudo-labelled ones
    (the N of Eq. 2): a scene of which little is trusted weighs little.
    """
    labels, has_instance = batch["labels"][rows], batch["instances"][rows] >= 0
    logits, offsets = prediction.logits[rows], prediction.offsets[rows]
    target = batch["centers"][rows] - batch["points"][rows]
    is_labeled = labels >= 0
    semantic = cross_entropy(logits, labels.clamp(min=0), reduction="none") * is_labeled
    offset = offset_loss(offsets, target, has_instance)
    if name == "unlabeled":
        semantic_loss, offset = semantic.mean(), offset * has_instance.float().mean()
    else:
        semantic_loss = semantic.sum() / is_labeled.sum().clamp(min=1)
    return {f"{name}_semantic": semantic_loss, f"{name}_offset": offset}


def propose(
    config: RunConfig,
    stuff: tuple[int, ...],
    points: Tensor,
    prediction: VoxelPrediction,
    batch_index: Tensor,
    rows: Tensor,
) -> Tensor:
    """Module A: the proposal of each voxel, -1 none, from predicted classes and offsets."""
    labels = prediction.logits[rows].detach().argmax(dim=1)
    if not config.twist.semantic_to_offset:
        is_stuff = torch.isin(labels, torch.tensor(stuff, device=labels.device))
        labels, stuff = torch.where(is_stuff, -1, 0), ()
    return cluster_proposals(
        points + prediction.offsets[rows].detach(),
        labels,
        batch_index,
        radius=config.twist.cluster_radius * config.model.voxel_size,
        min_points=config.twist.min_points,
        ignore=stuff,
    )


def detached_features(config: RunConfig, prediction: VoxelPrediction, colors: Tensor) -> Tensor:
    """What Ψ reads beside coordinates: features of Φ, or colours (Table 6, row I)."""
    if config.twist.recorrector_features == "colors":
        return colors
    return prediction.features.detach()


def limit_proposals(proposals: Tensor, limit: int) -> Tensor:
    """At most `limit` proposals, drawn at random, renumbered; the others become -1."""
    n_proposals = int(proposals.max()) + 1 if len(proposals) else 0
    if n_proposals <= limit:
        return proposals
    renumbered = torch.full((n_proposals + 1,), -1, device=proposals.device)
    renumbered[torch.randperm(n_proposals)[:limit]] = torch.arange(limit, device=proposals.device)
    return renumbered[proposals]  # -1 reads the last entry, which stays -1
