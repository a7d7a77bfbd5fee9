"""Tests of pcl_data.pairs.views."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.pairs import cut_views


@given(
    st.integers(1, 60),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
    st.integers(0, 1000),
)
def test_views_have_the_size_and_at_least_the_overlap_that_were_asked_for(n, size, least, seed):
    points = np.random.default_rng(seed).random((n, 3))
    views = cut_views(points, np.random.default_rng(seed), size=size, min_overlap=least)
    for index in (views.index_a, views.index_b):
        assert len(index) == ceil(size * n)
        assert (np.diff(index) > 0).all()
        assert index.min() >= 0
        assert index.max() < n
    assert len(views.matches) >= least * len(views.index_a)


@given(st.integers(0, 100))
def test_matches_are_exactly_the_shared_points_sorted(seed):
    points = np.random.default_rng(seed).random((50, 3))
    index_a, index_b, matches = cut_views(points, np.random.default_rng(seed), min_overlap=0.1)
    shared = sorted(set(index_a.tolist()) & set(index_b.tolist()))
    assert index_a[matches[:, 0]].tolist() == shared
    assert index_b[matches[:, 1]].tolist() == shared


def test_views_lie_side_by_side_around_one_place():
    generator = np.random.default_rng(0)
    points = generator.uniform(0, 1, (2000, 3)) * [20, 20, 3]
    angles = np.linspace(0, 2 * np.pi, 720)
    for _ in range(10):
        index_a, index_b, _ = cut_views(points, generator, size=0.1, min_overlap=0.2)
        window = np.union1d(index_a, index_b)
        center = points[window, :2].mean(axis=0)
        distance = np.linalg.norm(points[:, :2] - center, axis=1)
        # the nearest points are a disc; at the walls of the cloud it is cut off
        assert distance[window].max() < 2 * np.sort(distance)[len(window)]
        along = points[:, :2] @ [np.cos(angles), np.sin(angles)]
        only_a, only_b = np.setdiff1d(index_a, index_b), np.setdiff1d(index_b, index_a)
        n_misplaced = [
            np.count_nonzero(a > np.min(b, initial=np.inf))
            for a, b in zip(along[only_a].T, along[only_b].T, strict=True)
        ]
        assert min(n_misplaced) <= 0.02 * len(only_a)  # angles are half a degree apart


def test_the_overlap_varies_over_its_whole_range():
    points, generator = np.random.default_rng(0).random((400, 3)), np.random.default_rng(1)
    shares = [
        len(cut_views(points, generator, size=0.25, min_overlap=0.4).matches) / 100
        for _ in range(200)
    ]
    assert 0.4 <= min(shares) < 0.42
    assert 0.98 < max(shares) <= 1
    assert np.mean(shares) == pytest.approx(0.7, abs=0.05)  # 4 deviations of the mean of 200


def test_the_generator_fixes_the_views():
    points = np.random.default_rng(0).random((100, 3))
    first, again = (cut_views(points, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.index_a, again.index_a)
    np.testing.assert_array_equal(first.index_b, again.index_b)
    assert not np.array_equal(first.index_a, cut_views(points, np.random.default_rng(4)).index_a)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0.0}, r"size must lie in \(0, 1\], got 0.0"),
        ({"size": 1.1}, r"size must lie in \(0, 1\], got 1.1"),
        ({"min_overlap": 0.0}, r"min_overlap must lie in \(0, 1\], got 0.0"),
    ],
)
def test_impossible_shares_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        cut_views(np.zeros((4, 3)), np.random.default_rng(0), **arguments)


def test_a_cloud_without_points_is_rejected():
    with pytest.raises(ValueError, match="points must hold at least one point, got 0"):
        cut_views(np.zeros((0, 3)), np.random.default_rng(0))
