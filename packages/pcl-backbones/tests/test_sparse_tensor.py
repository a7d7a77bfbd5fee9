"""Tests of pcl_backbones.sparse_tensor."""

import pytest
import torch

from pcl_backbones import SparseTensor
from pcl_backbones.sparse_tensor import in_raster_order
from pcl_backbones.testing import surface_scene


def int32(*rows):
    return torch.tensor(rows, dtype=torch.int32)


def test_keeps_what_it_is_given():
    coords, features = int32([1, 4, -8, 0], [0, 0, 0, 4]), torch.rand(2, 5)
    x = SparseTensor(coords, features, stride=4)
    assert torch.equal(x.coords, coords)
    assert x.coords.dtype == torch.int32
    assert x.features is features
    assert (x.stride, len(x)) == (4, 2)


def test_other_features_share_the_coordinates():
    x = SparseTensor(surface_scene(4), torch.rand(32, 2))
    y = x.with_features(torch.rand(32, 7))
    assert y._cache is x._cache
    assert y.coords is x.coords
    assert y.features.shape == (32, 7)


def test_raster_order_sorts_and_restores():
    coords = surface_scene(6)
    x = SparseTensor(coords, torch.rand(len(coords), 2))
    ordered, restore = in_raster_order(x)
    assert ordered.coords.tolist() == sorted(coords.tolist())
    assert torch.equal(ordered.coords[restore], coords)
    assert torch.equal(ordered.features[restore], x.features)
    assert in_raster_order(ordered) == (ordered, None)


@pytest.mark.parametrize(
    ("coords", "features", "stride", "message"),
    [
        (int32([0, 0, 0]), torch.rand(1, 1), 1, r"coords must have shape \(v, 4\), got \(1, 3\)"),
        (int32(0, 0, 0, 0), torch.rand(1, 1), 1, r"coords must have shape \(v, 4\), got \(4,\)"),
        (torch.zeros(1, 4).long(), torch.rand(1, 1), 1, r"coords must be int32, got torch.int64"),
        (torch.zeros(0, 4).int(), torch.rand(0, 1), 1, "coords must hold at least one voxel"),
        (
            int32([0, 0, 0, 0]),
            torch.rand(2, 1),
            1,
            r"features must have shape \(1, c\), got \(2, 1",
        ),
        (int32([0, 0, 0, 0]), torch.rand(1), 1, r"features must have shape \(1, c\), got \(1,\)"),
        (int32([0, 0, 0, 0]), torch.ones(1, 1).long(), 1, "features must be floating point"),
        (int32([0, 0, 0, 0]), torch.ones(1, 1, device="meta"), 1, "features must be on cpu"),
        (int32([0, 0, 0, 0]), torch.rand(1, 1), 0, "stride must be at least 1, got 0"),
        (int32([0, 3, 0, 0]), torch.rand(1, 1), 2, "coords must be multiples of the stride"),
        (int32([-1, 0, 0, 0]), torch.rand(1, 1), 1, r"scenes in \[0, 4096\), got \[-1, -1\]"),
        (int32([4096, 0, 0, 0]), torch.rand(1, 1), 1, r"scenes in \[0, 4096\)"),
        (int32([0, 0, 32768, 0]), torch.rand(1, 1), 1, r"coords must lie in \[-32768, 32768\)"),
        (int32([0, 0, 0, -32769]), torch.rand(1, 1), 1, r"got \[-32769, 0\]"),
        (
            int32([0, 0, 0, 0], [2, 0, 0, 0]),
            torch.rand(2, 1),
            1,
            "coords must hold voxels of every scene, got none of scene 1",
        ),
        (int32([1, 0, 0, 0]), torch.rand(1, 1), 1, "every scene, got none of scene 0"),
        (
            int32([0, 1, 1, 1], [0, 2, 1, 1], [0, 1, 1, 1]),
            torch.rand(3, 1),
            1,
            "coords must hold each voxel once, got 2 voxels in 3 rows",
        ),
    ],
)
def test_rejects(coords, features, stride, message):
    with pytest.raises(ValueError, match=message):
        SparseTensor(coords, features, stride)


def test_other_features_must_fit():
    x = SparseTensor(int32([0, 0, 0, 0]), torch.rand(1, 1))
    with pytest.raises(ValueError, match=r"features must have shape \(1, c\), got \(2, 1\)"):
        x.with_features(torch.rand(2, 1))
