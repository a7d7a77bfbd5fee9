"""What one training step minimises: Eqs. 1 to 5 of TWIST.

Chu et al., "TWIST: Two-Way Inter-Label Self-Training for Semi-Supervised 3D Instance
Segmentation", CVPR 2022.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pcl_data import LabelSet
from pcl_methods.segmentation.inference import propose
from pcl_methods.segmentation.losses import segmentation_losses, voxel_cross_entropy
from pcl_methods.segmentation.network import SegmentationNetwork, VoxelPrediction
from pcl_pseudolabel import (
    ProposalRecorrector,
    cluster_proposals,
    matched_labels,
    mutate_proposals,
    proposal_iou,
    recorrection_loss,
    transform_proposals,
)
from twist_cli.config import RunConfig

Losses = dict[str, Tensor]


class TwistObjective(nn.Module):
    """Φ and Ψ with their joint objective: `forward(batch, train_recorrector)` is L^Φ + L^Ψ."""

    def __init__(
        self,
        config: RunConfig,
        label_set: LabelSet,
        network: SegmentationNetwork,
        recorrector: ProposalRecorrector,
    ) -> None:
        super().__init__()
        self.config, self.label_set = config, label_set
        self.network, self.recorrector = network, recorrector
        self.stuff = tuple(set(range(label_set.n_classes)) - set(label_set.things))

    def forward(self, batch: Mapping[str, Tensor], train_recorrector: bool) -> Losses:
        """The losses of a batch; `loss` is their sum."""
        prediction = self.network(batch["coords"], batch["features"])
        is_labeled, losses = batch["is_labeled"], {}
        for name, rows, losses_of in (
            ("labeled", is_labeled, segmentation_losses),
            ("unlabeled", ~is_labeled, _pseudo_losses),
        ):
            if rows.any():
                found = losses_of(prediction, batch, rows)
                losses |= {f"{name}_{key}": value for key, value in found.items()}
        if train_recorrector:
            losses |= self._recorrection_losses(prediction, batch)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def _recorrection_losses(
        self, prediction: VoxelPrediction, batch: Mapping[str, Tensor]
    ) -> Losses:
        """Eq. 5 and its class term, on the labelled half, features detached (TW-13)."""
        rows = batch["is_labeled"]
        points, batch_index = batch["points"][rows], batch["batch_index"][rows]
        features = detached_features(self.config, prediction, batch["features"])[rows]
        proposals = limit_proposals(
            propose_voxels(self.config, self.stuff, points, prediction, batch_index, rows),
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


def _pseudo_losses(
    prediction: VoxelPrediction, batch: Mapping[str, Tensor], rows: Tensor
) -> Losses:
    """Eq. 4 on the pseudo-labelled scenes of a batch.

    Means run over all their points, not over the labelled ones (the N of Eq. 2): a scene of which
    little is trusted weighs little.
    """
    losses = segmentation_losses(prediction, batch, rows)
    has_instance = batch["instances"][rows] >= 0
    return {
        "semantic": voxel_cross_entropy(prediction.logits[rows], batch["labels"][rows]).mean(),
        "offset": losses["offset"] * has_instance.float().mean(),
    }


def propose_voxels(
    config: RunConfig,
    stuff: tuple[int, ...],
    points: Tensor,
    prediction: VoxelPrediction,
    batch_index: Tensor,
    rows: Tensor,
) -> Tensor:
    """Module A: the proposal of each of some voxels, -1 none, from predicted classes and offsets.

    `points` and `batch_index` are of those voxels, `prediction` is of all.
    """
    assert prediction.offsets is not None  # as build_networks makes Φ
    logits, offsets = prediction.logits[rows], prediction.offsets[rows]
    radius = config.twist.cluster_radius * config.model.voxel_size
    min_points = config.twist.min_points
    if config.twist.semantic_to_offset:
        return propose(
            points, logits, offsets, batch_index, radius=radius, min_points=min_points, stuff=stuff
        )
    is_stuff = torch.isin(logits.argmax(dim=1), torch.tensor(stuff, device=logits.device))
    return cluster_proposals(
        points + offsets,
        torch.where(is_stuff, -1, 0),
        batch_index,
        radius=radius,
        min_points=min_points,
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
