"""Tests of pcl_methods.self_training.proposals."""

import dataclasses

import torch

from pcl_data import SCANNET20
from pcl_methods.self_training.proposals import Clustering, cluster_voxels, limit_proposals

CHAIR, TABLE, FLOOR = (SCANNET20.names.index(name) for name in ("chair", "table", "floor"))
STUFF = sorted(set(range(SCANNET20.n_classes)) - set(SCANNET20.things))


def test_class_agnostic_clusters_join_touching_classes():
    """Table 5, row 2: classes do not separate clusters; walls and floors stay outside."""
    points = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)) * 0.05
    labels = torch.tensor([CHAIR] * 15 + [TABLE] * 15 + [FLOOR] * 10)
    logits = torch.nn.functional.one_hot(labels, SCANNET20.n_classes).float()
    scene = torch.zeros(40, dtype=torch.int64)
    by_class = Clustering(radius=0.12, min_points=5)
    joining = dataclasses.replace(by_class, class_agnostic=True)
    apart, joined = (
        cluster_voxels(points, logits, torch.zeros(40, 3), scene, clustering, STUFF)
        for clustering in (by_class, joining)
    )
    assert apart.tolist() == [0] * 15 + [1] * 15 + [-1] * 10
    assert joined.tolist() == [0] * 30 + [-1] * 10


def test_small_clusters_and_distant_points_are_none():
    points = torch.tensor([0.0, 0.1, 0.2, 0.5, 0.6])[:, None] * torch.tensor([1.0, 0, 0])
    logits = torch.nn.functional.one_hot(torch.full((5,), CHAIR), SCANNET20.n_classes).float()
    offsets = torch.zeros(5, 3)
    scene = torch.zeros(5, dtype=torch.int64)
    clustering = Clustering(radius=0.15, min_points=3)
    found = cluster_voxels(points, logits, offsets, scene, clustering, STUFF)
    assert found.tolist() == [0, 0, 0, -1, -1]
    offsets[3:, 0] = -0.25
    found = cluster_voxels(points, logits, offsets, scene, clustering, STUFF)
    assert found.tolist() == [0] * 5


def test_limit_draws_proposals_and_renumbers():
    proposals = torch.tensor([-1, 0, 0, 1, 2, 2, 3])
    limited = limit_proposals(proposals, 2)
    assert limited.unique().tolist() == [-1, 0, 1]
    assert limited[0] == -1
    assert limited[1] == limited[2]
    assert limited[4] == limited[5]
    assert torch.equal(limit_proposals(proposals, 4), proposals)
