"""Tests of pcl_backbones.proposal_encoder."""

import inspect

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import ProposalEncoder


def proposals(n=200, n_proposals=3, n_channels=2):
    torch.manual_seed(0)
    index = torch.arange(n) % n_proposals
    # multiples of 1/64: means of 2^k points and shifts by whole numbers stay exact
    return torch.randint(0, 32, (n, 3)) / 64, torch.randn(n, n_channels), index[torch.randperm(n)]


def test_one_row_a_proposal_and_a_gradient_for_every_parameter():
    encoder = ProposalEncoder(5, out_channels=16, width=8, voxel_size=0.05)
    points, features, index = proposals()
    features.requires_grad_()
    out = encoder(points, features, index, 3)
    assert out.shape == (3, 16)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    assert features.grad.abs().sum() > 0


def test_two_runs_agree_bit_for_bit():
    encoder = ProposalEncoder(5, width=8)
    assert torch.equal(encoder(*proposals(), 3), encoder(*proposals(), 3))


def test_voxels_hold_the_mean_of_centred_positions_and_features():
    encoder = ProposalEncoder(4, width=4, voxel_size=0.1)
    points = torch.tensor([[5.0, 0, 0], [5.04, 0, 0], [6.0, 0, 0], [6.04, 0, 0], [9.0, 9, 9]])
    index = torch.tensor([0, 0, 0, 0, 1])
    voxels = encoder._voxels(points, torch.tensor([[1.0], [3], [5], [5], [7]]), index)
    # mean x of the first is 5.52: centred -0.52, -0.48 | 0.48, 0.52; floor(c / 0.1)
    assert voxels.coords[:, :2].tolist() == [[0, -6], [0, -5], [0, 4], [0, 5], [1, 0]]
    assert_close(voxels.features[:, 3], torch.tensor([1.0, 3, 5, 5, 7]))
    wide = ProposalEncoder(4, width=4, voxel_size=1.0)
    voxels = wide._voxels(points, torch.tensor([[1.0], [3], [5], [5], [7]]), index)
    assert_close(voxels.features[0], torch.tensor([-0.5, 0, 0, 2]), rtol=0, atol=1e-5)
    assert_close(voxels.features[2], torch.tensor([0.0, 0, 0, 7]))


def test_only_the_shape_matters_not_the_place_or_the_order_of_points():
    encoder = ProposalEncoder(5, width=8, voxel_size=0.05).eval()
    points, features, index = proposals(256, n_proposals=2)
    out = encoder(points, features, index, 2)
    assert_close(encoder(points + torch.tensor([8.0, -4, 2]), features, index, 2), out)
    order = torch.randperm(256)
    assert_close(encoder(points[order], features[order], index[order], 2), out)


def test_proposals_do_not_mix():
    encoder = ProposalEncoder(5, width=8).eval()
    points, features, index = proposals()
    rows = index == 1
    alone = encoder(points[rows], features[rows], index[rows] - 1, 1)
    assert_close(alone[0], encoder(points, features, index, 3)[1], rtol=1e-4, atol=1e-4)


def test_a_large_proposal_fits_its_grid():
    encoder = ProposalEncoder(3, width=4, voxel_size=0.02, max_grid=8)
    points = torch.rand(5000, 3) * torch.tensor([10.0, 2, 1])
    index = torch.zeros(5000, dtype=torch.long)
    coords = encoder._voxels(points, torch.zeros(5000, 0), index).coords[:, 1:]
    extent = coords.amax(0) - coords.amin(0) + 1
    assert 7 <= extent[0] <= 8
    assert extent[1] < 4


def test_one_point():
    out = ProposalEncoder(3, width=4)(torch.ones(1, 3), torch.ones(1, 0), torch.zeros(1).long(), 1)
    assert out.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_proposals": 4}, r"proposal_index must name every proposal, got none of \[3\]"),
        ({"n_proposals": 2}, r"proposal_index must lie in \[0, 2\), got \[0, 2\]"),
        ({"n_proposals": 0}, r"n_proposals must lie in \[1, 4096\], got 0"),
        ({"features": torch.zeros(200, 3)}, r"features must have shape \(200, 2\), got"),
        ({"points": torch.full((200, 3), 1e31)}, "points must be finite and within 1e"),
        ({"points": torch.full((200, 3), torch.nan)}, "points must be finite"),
    ],
)
def test_rejects(change, message):
    points, features, index = proposals()
    arguments = {"points": points, "features": features, "proposal_index": index, "n_proposals": 3}
    with pytest.raises(ValueError, match=message):
        ProposalEncoder(5, width=4)(**(arguments | change))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 2}, "in_channels must be at least 3, got 2"),
        ({"voxel_size": 0.0}, "voxel_size must be above 0 and finite, got 0.0"),
        ({"max_grid": 1}, r"max_grid must lie in \[2, 32768\), got 1"),
    ],
)
def test_rejects_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProposalEncoder(**({"in_channels": 3} | arguments))


def test_lengths_that_differ_are_refused():
    points, features, index = proposals()
    forward = inspect.unwrap(ProposalEncoder.forward)  # without the type checker of the tests
    for arguments, problem in (
        ((points[:-1], features, index), r"proposal_index must have shape \(199,\), got \(200,\)"),
        ((points, features[:-1], index), r"features must have shape \(200, 2\), got \(199, 2\)"),
        ((points[:, :2], features, index), r"points must have shape \(200, 3\), got \(200, 2\)"),
    ):
        with pytest.raises(ValueError, match=problem):
            forward(ProposalEncoder(5), *arguments, 3)
