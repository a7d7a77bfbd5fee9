"""Tests of pcl_clip3d.graph_segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_clip3d.graph_segments import number_by_first, segment_graph


def slow_segments(edges, weights, n_points, k, min_points):
    """Algorithm 1 with sets of Python, and then the pass for small sets."""
    sets = {point: {point} for point in range(n_points)}  # the same set object for its points
    inside = dict.fromkeys(range(n_points), 0.0)  # Int of the set of a point

    def join(a, b, weight):
        merged = sets[a] | sets[b]
        for point in merged:
            sets[point], inside[point] = merged, weight

    order = sorted(range(len(edges)), key=lambda edge: weights[edge])
    for edge in order:
        a, b = edges[edge]
        limit = min(inside[point] + k / len(sets[point]) for point in (a, b))
        if sets[a] is not sets[b] and weights[edge] <= limit:
            join(a, b, weights[edge])
    for edge in order:
        a, b = edges[edge]
        if sets[a] is not sets[b] and min(len(sets[a]), len(sets[b])) < min_points:
            join(a, b, 0.0)
    firsts = [min(sets[point]) for point in range(n_points)]
    return [sorted(set(firsts)).index(first) for first in firsts]


@st.composite
def graphs(draw):
    n_points = draw(st.integers(1, 12))
    point = st.integers(0, n_points - 1)
    edges = draw(st.lists(st.tuples(point, point), max_size=30))
    weights = draw(st.lists(st.integers(0, 8), min_size=len(edges), max_size=len(edges)))
    k, min_points = draw(st.integers(0, 24)), draw(st.integers(1, 5))
    # Exact in binary, and so that equal weights are common.
    return edges, [weight / 8 for weight in weights], n_points, k / 8, min_points


@given(graphs())
def test_it_is_the_algorithm_written_with_sets(graph):
    edges, weights, n_points, k, min_points = graph
    found = segment_graph(
        np.array(edges, np.int64).reshape(-1, 2),
        np.array(weights, np.float64),
        n_points,
        k=k,
        min_points=min_points,
    )
    assert found.dtype == np.int64
    assert found.tolist() == slow_segments(edges, weights, n_points, k, min_points)


def path(weights, **options):
    """Sets of points in a row, with these weights between one and the next."""
    points = np.arange(len(weights) + 1)
    edges = np.stack([points[:-1], points[1:]], axis=1)
    return segment_graph(edges, np.array(weights), len(points), **options).tolist()


def test_a_larger_set_is_harder_to_join():
    # After 0-1 (weight 0) the limit of the pair is 0 + 1 / 2, that of point 2 is 1.
    assert path([0.0, 0.5], k=1, min_points=1) == [0, 0, 0]
    assert path([0.0, 0.5625], k=1, min_points=1) == [0, 0, 1]


def test_the_limit_starts_from_the_weight_that_joined_last():
    # 0-1 by 0.25: the limit of the pair is 0.25 + 1 / 2.
    assert path([0.25, 0.75], k=1, min_points=1) == [0, 0, 0]
    assert path([0.25, 0.8125], k=1, min_points=1) == [0, 0, 1]


def test_the_size_is_that_of_both_sets():
    # Two pairs join by 0.25: the limit of the four is 0.25 + 1 / 4.
    assert path([0.0, 0.25, 0.0, 0.5], k=1, min_points=1) == [0, 0, 0, 0, 0]
    assert path([0.0, 0.25, 0.0, 0.5625], k=1, min_points=1) == [0, 0, 0, 0, 1]


def test_small_sets_join_by_the_lightest_edge_first():
    # 0-1 and 3-4 are pairs; point 2 is too small and joins the nearer pair.
    assert path([0.0, 0.875, 0.75, 0.0], k=0.5, min_points=1) == [0, 0, 1, 2, 2]
    assert path([0.0, 0.875, 0.75, 0.0], k=0.5, min_points=2) == [0, 0, 1, 1, 1]


def test_equal_weights_come_in_the_order_given():
    # Point 2 is too small and joins the pair to which its first edge leads.
    edges, weights = np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), np.array([0.0, 1.0, 1.0, 0.0])
    options = {"k": 0.5, "min_points": 2}
    assert segment_graph(edges, weights, 5, **options).tolist() == [0, 0, 0, 1, 1]
    assert segment_graph(edges[::-1], weights, 5, **options).tolist() == [0, 0, 1, 1, 1]


def test_without_edges_each_point_is_a_set():
    none = np.zeros((0, 2), np.int64)
    assert segment_graph(none, np.zeros(0), 3, k=1, min_points=9).tolist() == [0, 1, 2]
    assert segment_graph(none, np.zeros(0), 0, k=1, min_points=9).tolist() == []


@pytest.mark.parametrize("k", [-0.1, float("nan"), float("inf")])
def test_a_k_that_is_negative_or_not_finite_is_refused(k):
    with pytest.raises(ValueError, match=r"k must be finite and not negative, got"):
        path([0.0], k=k, min_points=1)


def test_sets_of_less_than_one_point_are_refused():
    with pytest.raises(ValueError, match=r"min_points must be at least 1, got 0"):
        path([0.0], k=1, min_points=0)


def test_numbers_follow_the_first_rows():
    assert number_by_first(np.array([7, 7, -3, 0, 7, 2])).tolist() == [0, 0, -1, 1, 0, 2]
    assert number_by_first(np.array([-1])).tolist() == [-1]
    assert number_by_first(np.array([], np.int64)).tolist() == []
