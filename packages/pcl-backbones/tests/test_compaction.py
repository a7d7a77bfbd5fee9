"""Tests of pcl_backbones.compaction."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones import Res16UNet14A, SparseTensor, compact_coordinates
from pcl_backbones.testing import surface_scene

LIMIT = 2**15
clusters = st.lists(
    st.tuples(*[st.integers(-(10**12), 10**12) | st.integers(-300, 300)] * 3),
    min_size=1,
    max_size=20,
)


@given(clusters, st.integers(1, 16), st.integers(0, 100))
def test_what_lies_within_the_gap_is_unchanged(voxels, multiple, more):
    coords, gap = np.array(voxels, np.int64), multiple + more
    found = compact_coordinates(coords, gap, multiple)
    assert found.dtype == np.int32
    assert found.min() >= -LIMIT
    assert found.max() < LIMIT
    assert ((found - coords) % multiple == 0).all()
    before, after = (c[:, None].astype(np.int64) - c for c in (coords, found))
    near = abs(before) <= gap
    assert (before == after)[near].all()
    assert (abs(after) > gap)[~near].all()
    assert (np.sign(before) == np.sign(after)).all()
    cells, merged = coords // multiple, found // multiple
    assert ((cells[:, None] == cells) == (merged[:, None] == merged)).all()
    for axis in found.T.astype(np.int64):  # no run is longer than it must be
        assert np.diff(np.unique(axis)).max(initial=0) <= gap + multiple
    assert np.array_equal(compact_coordinates(found, gap, multiple), found)


def test_what_fits_without_a_long_run_stays():
    coords = np.array([[-LIMIT, 3, LIMIT - 1], [-LIMIT + 9, -4, LIMIT - 9]], np.int32)
    assert np.array_equal(compact_coordinates(coords, 16, 16), coords)


def test_the_whole_range_is_usable():
    x = 10**9 + 5 + np.arange(2 * LIMIT - 5 + 1)  # 5 mod 16 needs 5 cells before it
    coords = np.zeros((len(x), 3), np.int64)
    coords[:, 0] = x
    found = compact_coordinates(coords[:-1], 16, 16)
    assert np.array_equal(found[:, 0], np.arange(-LIMIT + 5, LIMIT))
    with pytest.raises(ValueError, match=r"must fit in .* got 65532 cells"):
        compact_coordinates(coords, 16, 16)


def test_no_voxel_is_no_voxel():
    assert compact_coordinates(np.zeros((0, 3), np.int64), 1, 1).shape == (0, 3)


def test_bad_arguments_are_named():
    coords = np.zeros((2, 3), np.int64)
    for arguments, problem in (
        ((coords, 4, 0), "multiple must be at least 1, got 0"),
        ((coords, 15, 16), "gap must be at least multiple = 16, got 15"),
        ((coords + 2**62, 16, 16), r"coords must lie within 2\^62 of zero, got"),
    ):
        with pytest.raises(ValueError, match=problem):
            compact_coordinates(*arguments)


def test_a_far_voxel_changes_no_bit_of_a_forward_pass():
    torch.manual_seed(0)
    network = Res16UNet14A(3, 5, width=0.125).eval()
    room = surface_scene(12)[:, 1:].numpy().astype(np.int64)
    features = torch.randn(len(room) + 1, 3)

    def outputs(far: int) -> torch.Tensor:
        coords = compact_coordinates(np.append(room, [[far, -far, far + 16]], axis=0), 1000, 16)
        batch = torch.nn.functional.pad(torch.from_numpy(coords), (1, 0))
        with torch.inference_mode():
            return network(SparseTensor(batch, features)).features

    near = torch.nn.functional.pad(
        torch.from_numpy(np.append(room, [[2000, -2000, 2016]], axis=0).astype(np.int32)), (1, 0)
    )
    with torch.inference_mode():
        expected = network(SparseTensor(near, features)).features
    assert torch.equal(outputs(2000), expected)
    assert torch.equal(outputs(2000 + 16 * 62_375), expected)  # 10^6 voxels away
