"""Tests of pcl_backbones.sparse_seeds."""

import inspect

import pytest
import torch

from pcl_backbones import Res16UNet14A, SparseTensor
from pcl_backbones.box_coding import SCANNET_CODING
from pcl_backbones.point_sampling import furthest_points
from pcl_backbones.sparse_seeds import SparseSeeds
from pcl_backbones.testing import surface_scene
from pcl_backbones.votenet import VoteNet


def scenes(n=2):
    """Scenes of different sizes, rows mixed, and a point in each voxel."""
    parts = [surface_scene(4 + 2 * i) for i in range(n)]
    for i, part in enumerate(parts):
        part[:, 0] = i
    coords = torch.cat(parts)
    coords = coords[torch.randperm(len(coords), generator=torch.Generator().manual_seed(0))]
    points = (coords[:, 1:] + torch.rand(len(coords), 3)) * 0.025 + 1
    return SparseTensor(coords, torch.rand(len(coords), 3)), points


def test_seeds_are_the_furthest_points_of_each_scene_with_their_features():
    x, points = scenes()
    seeds = SparseSeeds(torch.nn.Identity(), count=9)(x, points)
    for scene in range(2):
        rows = (x.coords[:, 0] == scene).nonzero()[:, 0]
        index = furthest_points(points[rows][None], 9)[0]
        assert torch.equal(seeds.index[scene], index)
        assert torch.equal(seeds.points[scene], points[rows[index]])
        assert torch.equal(seeds.features[scene].T, x.features[rows[index]])


def test_a_scene_of_fewer_voxels_repeats_them():
    coords = torch.tensor([[0, 0, 0, 0], [0, 5, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
    x, points = SparseTensor(coords, torch.eye(3)), coords[:, 1:] + 1.0
    seeds = SparseSeeds(torch.nn.Identity(), count=8)(x, points)
    assert seeds.index.tolist() == [[0, 1, 2, 0, 1, 2, 0, 1]]


def test_boxes_from_a_sparse_network_and_a_gradient_for_every_parameter():
    x, points = scenes()
    network = SparseSeeds(Res16UNet14A(3, 16, width=0.125), count=12)
    network = VoteNet(network, SCANNET_CODING, seed_channels=16, width=0.125, n_proposals=5)
    output = network(x, points)
    assert output.proposals.centers.shape == (2, 5, 3)
    parts = (output.votes, *output.proposals)
    sum(part.square().sum() for part in parts).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_point_for_each_voxel_and_one_seed_at_least():
    x, points = scenes()
    seeds = SparseSeeds(torch.nn.Identity(), count=9)
    forward = inspect.unwrap(SparseSeeds.forward)
    with pytest.raises(ValueError, match=r"points must have shape \(\d+, 3\), got \(\d+, 3\)"):
        forward(seeds, x, points[1:])
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        SparseSeeds(torch.nn.Identity(), count=0)
