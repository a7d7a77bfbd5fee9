"""A teacher that follows the student, sees unlabeled scenes as at test and gives soft targets.

Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017; weak views for the
teacher and strong ones for the student as Sohn et al., "FixMatch", NeurIPS 2020.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pcl_contrastive import MomentumEncoder
from pcl_methods.self_training.soft_targets import (
    ClassFacts,
    SoftTargets,
    TargetOptions,
    make_targets,
)


@dataclass(frozen=True)
class Teaching:
    """How a student learns from its teacher, beside the labels.

    Args:
        targets: how the teacher's probabilities become targets.
        momentum: share of itself that the teacher keeps in a step.
        weight: of the loss.
    """

    targets: TargetOptions = field(default_factory=TargetOptions)
    momentum: float = 0.99
    weight: float = 1.0


class Teacher(nn.Module):
    """The moving average of a network, and what its probabilities become.

    It sees the voxels of the student's points without any augmentation, in evaluation mode, as
    networks are scored; its batch norms have the statistics of the student's.

    Args:
        network: the student as the teaching begins.
        teaching: how.
        facts: of the classes.
    """

    def __init__(self, network: nn.Module, teaching: Teaching, facts: ClassFacts) -> None:
        super().__init__()
        self.encoder = MomentumEncoder(network, teaching.momentum)
        self.targets = make_targets(teaching.targets, facts)
        self.weight = teaching.weight

    def follow(self, network: nn.Module) -> None:
        """Move towards the student; before each step."""
        self.encoder.update(network)
        pairs = zip(self.encoder.encoder.buffers(), network.buffers(), strict=True)
        for own, other in pairs:
            own.copy_(other)

    @torch.no_grad()
    def forward(self, batch: Mapping[str, Tensor], rows: Tensor) -> SoftTargets:
        """The targets of some voxels of a batch with `weak_coords` and `weak_features`."""
        self.encoder.eval()
        scenes = batch["batch_index"][rows].unique(return_inverse=True)[1]  # from 0 without gaps
        weak = batch["weak_coords"][rows]
        seen = torch.cat([scenes[:, None].to(weak), weak], dim=1)
        coords, voxel = seen.unique(dim=0, return_inverse=True)
        numbers = torch.arange(len(voxel), device=voxel.device)
        first = voxel.new_full((len(coords),), len(voxel)).scatter_reduce(0, voxel, numbers, "amin")
        logits = self.encoder(coords, batch["weak_features"][rows][first]).logits
        return self.targets(logits.softmax(dim=1)[voxel])

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """The mean over all of these voxels of the cross-entropy, 0 where a target is not trusted.

        Args:
            logits: (v, k) of the student, of all voxels of the batch.
            batch: as `twist_batches` makes it for a teacher.
            rows: (v,) bool, the voxels that are taught.
        """
        targets = self(batch, rows)
        each = cross_entropy(logits[rows], targets.probabilities, reduction="none")
        return self.weight * (each * targets.trusted).sum() / max(len(each), 1)
