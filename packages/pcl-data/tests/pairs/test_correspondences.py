"""Tests of pcl_data.pairs.correspondences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.pairs import correspondences


def make_clouds(seed) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 30, 2)
    return rng.uniform(0, 0.2, (sizes[0], 3)), rng.uniform(0, 0.2, (sizes[1], 3))


@given(st.integers(0, 100), st.sampled_from([0.0375, 0.1, 0.5]))
def test_matches_are_all_pairs_in_the_radius_sorted_by_the_first(seed, radius):
    a, b = make_clouds(seed)
    expected = [
        [i, j]
        for i in range(len(a))
        for j in range(len(b))
        if np.linalg.norm(a[i] - b[j]) <= radius
    ]
    assert correspondences(a, b, radius=radius).tolist() == expected


@given(st.integers(0, 100), st.integers(1, 4))
def test_the_nearest_matches_of_each_point_are_kept(seed, max_matches):
    a, b = make_clouds(seed)
    expected = []
    for i in range(len(a)):
        distance = np.linalg.norm(a[i] - b, axis=1)
        nearest = [j for j in np.argsort(distance, kind="stable") if distance[j] <= 0.1]
        expected += [[i, j] for j in sorted(nearest[:max_matches])]
    assert correspondences(a, b, radius=0.1, max_matches=max_matches).tolist() == expected


def test_a_point_at_the_radius_matches():
    a = np.zeros((1, 3))
    b = np.array([[0.5, 0, 0], [0, 0, 0.50001], [0, -0.5, 0]])
    assert correspondences(a, b, radius=0.5).tolist() == [[0, 0], [0, 2]]


def test_of_equally_near_points_the_lower_index_is_kept():
    sphere = np.concatenate([np.eye(3), -np.eye(3)] * 8) / 2
    b = np.random.default_rng(0).permutation(sphere)
    found = correspondences(np.zeros((1, 3)), b, radius=0.5, max_matches=3)
    assert found.tolist() == [[0, 0], [0, 1], [0, 2]]


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (3, 3)])
def test_no_match_is_an_empty_array_and_not_an_invented_pair(n, m):
    found = correspondences(np.zeros((n, 3), np.float32), np.ones((m, 3), np.float32))
    assert found.shape == (0, 2)
    assert found.dtype == np.int64


def test_bad_arguments_are_rejected():
    points = np.zeros((2, 3))
    with pytest.raises(ValueError, match="radius must be positive, got 0"):
        correspondences(points, points, radius=0.0)
    with pytest.raises(ValueError, match="max_matches must be at least 1, got 0"):
        correspondences(points, points, max_matches=0)
    with pytest.raises(ValueError, match="points_b must be finite, got NaN or infinity"):
        correspondences(points, points * np.nan)
