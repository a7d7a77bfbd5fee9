"""Module A of TWIST: voxels whose moved points lie close make an instance proposal.

Chu et al., "TWIST", CVPR 2022, section 4.1.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from pcl_methods.segmentation.inference import propose
from pcl_pseudolabel import cluster_proposals


@dataclass(frozen=True)
class Clustering:
    """How voxels are grouped.

    Args:
        radius: metres; 1.5 voxels in the published work.
        min_points: voxels; smaller proposals are dropped.
        class_agnostic: whether things of different classes may join (Table 5, row 2).
    """

    radius: float
    min_points: int = 50
    class_agnostic: bool = False


def cluster_voxels(
    points: Tensor,
    logits: Tensor,
    offsets: Tensor,
    batch_index: Tensor,
    clustering: Clustering,
    stuff: Collection[int],
) -> Tensor:
    """The proposal of each voxel, -1 none, from predicted classes and offsets.

    Args:
        points: (v, 3) metres.
        logits: (v, n_classes).
        offsets: (v, 3) predicted, metres.
        batch_index: (v,) the scene of each voxel.
        clustering: radius and least size.
        stuff: classes without instances, such as wall and floor.
    """
    radius, min_points = clustering.radius, clustering.min_points
    if not clustering.class_agnostic:
        return propose(
            points, logits, offsets, batch_index, radius=radius, min_points=min_points, stuff=stuff
        )
    is_stuff = torch.isin(logits.argmax(dim=1), torch.tensor(sorted(stuff), device=logits.device))
    return cluster_proposals(
        points + offsets,
        torch.where(is_stuff, -1, 0),
        batch_index,
        radius=radius,
        min_points=min_points,
    )


def limit_proposals(proposals: Tensor, limit: int) -> Tensor:
    """At most `limit` proposals, drawn at random, renumbered; the others become -1."""
    n_proposals = count_proposals(proposals)
    if n_proposals <= limit:
        return proposals
    renumbered = torch.full((n_proposals + 1,), -1, device=proposals.device)
    renumbered[torch.randperm(n_proposals)[:limit]] = torch.arange(limit, device=proposals.device)
    return renumbered[proposals]  # -1 reads the last entry, which stays -1


def count_proposals(proposals: Tensor) -> int:
    """How many proposals there are."""
    return int(proposals.max()) + 1 if len(proposals) else 0
