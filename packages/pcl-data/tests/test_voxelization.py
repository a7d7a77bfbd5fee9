"""Tests of pcl_data.voxelization."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pcl_data import voxel_labels, voxelize

# Multiples of 1/8 are exact in binary, so cell borders agree.
clouds = hnp.arrays(
    np.int64, st.tuples(st.integers(0, 40), st.just(3)), elements=st.integers(-9, 9)
)


def reference_grid(points, voxel_size):
    """One point after the other, cells numbered as they appear."""
    voxels, index, inverse = {}, [], []
    for i, point in enumerate(points):
        cell = tuple(int(np.floor(x / voxel_size)) for x in point)
        if cell not in voxels:
            voxels[cell] = len(voxels)
            index.append(i)
        inverse.append(voxels[cell])
    return list(voxels), index, inverse


@given(clouds, st.sampled_from([0.125, 0.25, 0.5, 4.0]))
def test_matches_the_definition(cells, voxel_size):
    points = (cells / 8).astype(np.float32)
    coords, index, inverse = reference_grid(points, voxel_size)
    grid = voxelize(points, voxel_size)
    assert [tuple(row) for row in grid.coords.tolist()] == coords
    assert grid.index.tolist() == index
    assert grid.inverse.tolist() == inverse
    assert (grid.coords.dtype, grid.index.dtype, grid.inverse.dtype) == ("int32", "int64", "int64")


@given(clouds)
def test_every_point_lies_in_its_voxel(cells):
    points = cells / 8
    grid = voxelize(points, 0.3)
    low = grid.coords[grid.inverse] * 0.3
    assert ((points >= low - 1e-12) & (points <= low + 0.3 + 1e-12)).all()  # rounding of 0.3 * k
    np.testing.assert_array_equal(grid.inverse[grid.index], np.arange(len(grid.coords)))


def test_far_away_points_keep_their_cells():
    points = np.array([[500_000, 4_000_000, 0], [500_000.25, 4_000_000, 0]])
    assert voxelize(points, 0.25).coords.tolist() == [
        [2_000_000, 16_000_000, 0],
        [2000001, 16000000, 0],
    ]


@pytest.mark.parametrize("voxel_size", [0.0, -1.0, float("nan")])
def test_a_voxel_size_that_is_not_positive_is_rejected(voxel_size):
    with pytest.raises(ValueError, match="voxel_size must be positive, got"):
        voxelize(np.zeros((1, 3)), voxel_size)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.nan, "points must be finite"),
        (-np.inf, "points must be finite"),
        (2.0**31, "points / voxel_size must fit int32"),
        (-(2.0**31) - 1, "points / voxel_size must fit int32"),
    ],
)
def test_points_that_cannot_be_packed_are_rejected(x, message):
    with pytest.raises(ValueError, match=message):
        voxelize(np.array([[0.0, 0, 0], [x, x, x]]), 1.0)


def test_the_largest_box_that_fits_is_exact():
    corner = [2.0**21 - 1, 2.0**21 - 1, 2.0**21 - 2]  # 2^63 - 2^42 cells
    grid = voxelize(np.array([[0.0, 0, 0], corner, [0.0, 0, 1], corner]), 1.0)
    assert grid.inverse.tolist() == [0, 1, 2, 1]


def test_the_cells_of_a_larger_box_are_told_apart_all_the_same():
    far = [2.0**30, -(2.0**30), 2.0**30]
    grid = voxelize(np.array([[0.0, 0, 0], far, [0.5, 0, 0], [0, 0, 1], far]), 1.0)
    assert grid.inverse.tolist() == [0, 1, 0, 2, 1]
    assert grid.coords[1].tolist() == far


@pytest.mark.parametrize("n_bits", [4, 16, 17, 33, 60])
def test_boxes_of_any_size_are_sorted_right(n_bits):
    generator = np.random.default_rng(n_bits)
    x = generator.integers(0, 2 ** (n_bits // 2), 400)
    y = generator.integers(0, 2 ** (n_bits - n_bits // 2), 400)
    points = np.stack([x, y, np.zeros(400)], axis=1)[generator.integers(0, 400, 1000)]
    coords, index, inverse = reference_grid(points, 1.0)
    grid = voxelize(points, 1.0)
    assert grid.coords.tolist() == [list(cell) for cell in coords]
    assert (grid.index.tolist(), grid.inverse.tolist()) == (index, inverse)


def test_cells_are_not_rounded_to_float32():
    points = np.random.default_rng(0).uniform(1e5, 1e5 + 50, (500, 3)).astype(np.float32)
    grid = voxelize(points, 0.02)
    expected = np.floor(points.astype(float) / 0.02)
    np.testing.assert_array_equal(grid.coords[grid.inverse], expected)


@given(
    hnp.arrays(np.int64, 30, elements=st.integers(-1, 3)),
    hnp.arrays(np.int64, 30, elements=st.integers(0, 12)),
)
def test_a_voxel_has_the_only_annotated_label_in_it(labels, inverse):
    for voxel, label in enumerate(voxel_labels(labels, inverse, 14)):
        distinct = set(labels[inverse == voxel].tolist()) - {-1}
        assert label == (distinct.pop() if len(distinct) == 1 else -1)


def test_no_points_leave_all_voxels_unlabeled():
    none = np.zeros(0, np.int64)
    assert voxel_labels(none, none, 2).tolist() == [-1, -1]


@pytest.mark.parametrize("voxel", [-1, 2])
def test_voxels_outside_the_grid_are_rejected(voxel):
    with pytest.raises(
        ValueError, match=rf"inverse must lie in \[0, 2\), got \[{voxel}, {voxel}\]"
    ):
        voxel_labels(np.array([0]), np.array([voxel]), 2)
