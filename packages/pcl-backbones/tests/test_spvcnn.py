"""Tests of pcl_backbones.spvcnn."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import SPVCNN, SparseTensor
from pcl_backbones.sparse import Conv3d
from pcl_backbones.spvcnn import points_in_voxels
from pcl_backbones.testing import check_backbone, surface_scene


def test_keeps_the_contract():
    check_backbone(lambda: SPVCNN(3, 4, width=0.125, dropout=0.0))


def test_has_the_parameters_of_the_published_model():
    """SPVCNN@30GMACs of github.com/mit-han-lab/spvnas, 5.5 million."""
    found = sum(p.numel() for p in SPVCNN(4, 19, width=0.5).parameters())
    assert round(found / 1e6, 1) == 5.5


def links(stride):
    torch.manual_seed(0)
    coords = torch.cat([surface_scene(9), surface_scene(6, scene=1, seed=1)])
    fine = SparseTensor(coords, torch.randn(len(coords), 2).double())
    coarse = Conv3d(2, 3, 2, stride=stride).double()(fine)
    return fine, coarse, points_in_voxels(fine, coarse)


@pytest.mark.parametrize("stride", [2, 4])
def test_interpolation_is_trilinear_over_the_voxels_there_are(stride):
    fine, coarse, link = links(stride)
    rows = {tuple(c): row for c, row in zip(coarse.coords.tolist(), coarse.features, strict=True)}
    found = link.interpolate(coarse.features)
    for (scene, *voxel), row in zip(fine.coords.tolist(), found, strict=True):
        total, sum_of_weights = 0.0, 0.0
        for corner in itertools.product((0, 1), repeat=3):
            at = [v // stride * stride + c * stride for v, c in zip(voxel, corner, strict=True)]
            weight = 1.0
            for v, a in zip(voxel, at, strict=True):
                weight *= 1 - abs(v - a) / stride
            if (scene, *at) in rows:
                total = total + weight * rows[scene, *at]
                sum_of_weights += weight
        assert_close(row, total / sum_of_weights)


def test_interpolation_gives_constants_back_and_has_a_gradient():
    _, coarse, link = links(2)
    assert_close(
        link.interpolate(torch.ones_like(coarse.features)).min(), torch.tensor(1.0).double()
    )
    features = torch.randn(len(coarse), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(link.interpolate, (features,))


@pytest.mark.parametrize("stride", [2, 4])
def test_the_mean_is_over_the_points_of_a_voxel(stride):
    fine, coarse, link = links(stride)
    cell = fine.coords.clone()
    cell[:, 1:] -= cell[:, 1:] % stride
    found = link.mean(fine.features)
    assert len(found) == len(coarse)
    for voxel, row in zip(coarse.coords, found, strict=True):
        assert_close(row, fine.features[(cell == voxel).all(dim=1)].mean(dim=0))


def test_dropout_is_for_training_alone():
    coords = surface_scene(6)
    network = SPVCNN(1, None, width=0.125, dropout=0.9)
    x = SparseTensor(coords, torch.ones(len(coords), 1))
    assert not torch.equal(network(x).features, network(x).features)
    network.eval()
    assert torch.equal(network(x).features, network(x).features)
    assert network(x).features.shape == (len(coords), network.feature_channels)
