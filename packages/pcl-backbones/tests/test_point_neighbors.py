"""Tests of pcl_backbones.point_neighbors."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_backbones import point_buckets, point_neighbors
from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_neighbors import ball_query, three_nearest


def squared_distances(points, center):
    dx, dy, dz = (points - center).T
    return dx * dx + dy * dy + dz * dz


def slow_ball(points, centers, radius, count):
    """One scene, from the published operator."""
    limit, rows = points.dtype.type(radius) ** 2, []
    for center in centers:
        hits = np.flatnonzero(squared_distances(points, center) < limit)[:count].tolist()
        rows.append(hits + (count - len(hits)) * (hits[:1] or [0]))
    return rows


def slow_three(points, known):
    ids = []
    for point in points:
        squares = squared_distances(known, point)
        ids.append(sorted(range(len(known)), key=lambda j: (squares[j], j))[:3])
    return ids


@pytest.fixture
def in_torch(monkeypatch):
    """The operations of other devices, on the CPU."""

    def query(points, centers, radius, count):
        limit = torch.tensor(radius, dtype=points.dtype).square().item()
        ids = torch.zeros(len(centers), count, dtype=torch.int64)
        point_neighbors._fill_in_torch(points, centers, limit, ids)
        return ids

    def three(points, known):
        squares, ids = torch.empty_like(points), torch.empty(points.shape, dtype=torch.int64)
        point_neighbors._fill_nearest_in_torch(points, known, squares, ids)
        return squares.sqrt(), ids

    monkeypatch.setattr(point_neighbors, "PAIRS", 1000)  # a part of the rows at a time
    return query, three


def cloud(n, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).random((n, 3)).astype(dtype)


# Of 2000 points in a cube: none but the center, some by bucket, some by scan, nearly all.
@pytest.mark.parametrize("radius", [1e-3, 0.1, 0.3, 2])
@pytest.mark.parametrize("count", [1, 16, 3000])
def test_ids_in_balls_are_those_of_the_published_operator(radius, count, in_torch):
    points = cloud(2000)
    centers = np.concatenate([points[::50], cloud(9, seed=1) + 1])
    found = ball_query(
        torch.from_numpy(points)[None], torch.from_numpy(centers)[None], radius=radius, count=count
    )
    assert found.tolist() == [slow_ball(points, centers, radius, count)]
    query = in_torch[0](torch.from_numpy(points), torch.from_numpy(centers), radius, count)
    assert torch.equal(query, found[0])


@given(st.integers(1, 40), st.sampled_from([0.5, 1, 2**0.5, 2, 9]), st.integers(1, 8), st.data())
def test_balls_of_points_on_a_grid(n, radius, count, data):
    """Many lie at exactly the radius, which is outside, and many in one place."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    points, centers = (rng.integers(0, 4, (2, m, 3)).astype(np.float32) for m in (n, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_buckets, "BUCKET_SIZE", 4)
        found = ball_query(
            torch.from_numpy(points), torch.from_numpy(centers), radius=radius, count=count
        )
    assert found.tolist() == [
        slow_ball(*scene, radius, count) for scene in zip(points, centers, strict=True)
    ]


@pytest.mark.parametrize("radius", [0.1, 0.3])
def test_a_scan_and_buckets_find_the_same(radius, monkeypatch):
    points = torch.from_numpy(cloud(500))[None]
    found = []
    for size in (1, 10_000):  # a bucket of all points makes for a scan of them
        monkeypatch.setattr(point_buckets, "BUCKET_SIZE", size)
        found.append(ball_query(points, points, radius=radius, count=20))
    assert torch.equal(*found)


def test_a_ball_by_hand():
    points = torch.zeros(1, 5, 3)
    points[0, :, 0] = torch.tensor([5.0, 2, 1, 0, 1])
    centers = torch.tensor([[[0.0, 0, 0], [5, 0, 0], [9, 0, 0]]])
    found = ball_query(points, centers, radius=2, count=4)  # the point at 2 is not inside
    assert found.tolist() == [[[2, 3, 4, 2], [0, 0, 0, 0], [0, 0, 0, 0]]]
    assert ball_query(points, centers[:, :0], radius=2, count=4).shape == (1, 0, 4)
    assert ball_query(points[:0], centers[:0], radius=2, count=4).shape == (0, 3, 4)


@pytest.mark.parametrize("radius", [0.21, 0.7])  # their squares round up in float32
def test_the_radius_is_squared_in_the_type_of_the_points(radius):
    """A point at the radius, as the type has it, is outside; the next number below is inside."""
    edge = torch.tensor(radius)
    points = torch.zeros(1, 2, 3)
    points[0, 1, 0] = edge
    assert ball_query(points, points[:, :1], radius=radius, count=2).tolist() == [[[0, 0]]]
    points[0, 1, 0] = torch.nextafter(edge, torch.zeros(()))
    assert ball_query(points, points[:, :1], radius=radius, count=2).tolist() == [[[0, 1]]]


def test_the_edge_of_a_ball_is_outside_on_other_devices(in_torch):
    grid = torch.cartesian_prod(*[torch.arange(4.0)] * 3)
    expected = slow_ball(grid.numpy(), grid.numpy(), 2, 9)
    assert in_torch[0](grid, grid, 2.0, 9).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_whole", [False, True])
def test_the_three_nearest_are_those_of_a_sort(dtype, is_whole, in_torch):
    points, known = cloud(200, dtype), cloud(600, dtype, seed=1)
    if is_whole:
        points, known = (points * 4).round(), (known * 4).round()
    rows, others = torch.from_numpy(points), torch.from_numpy(known)
    distances, ids = three_nearest(rows[None], others[None])
    assert ids.tolist() == [slow_three(points, known)]
    expected = [
        np.sqrt(squared_distances(known[near], point))
        for near, point in zip(ids[0].numpy(), points, strict=True)
    ]
    # torch's square root is not that of numpy in the last bit
    assert_close(distances[0], torch.from_numpy(np.stack(expected)), rtol=2e-7, atol=0)
    for ours, theirs in zip((distances, ids), in_torch[1](rows, others), strict=True):
        assert torch.equal(ours[0], theirs)


@given(st.integers(3, 30), st.integers(1, 3), st.data())
def test_three_nearest_on_a_grid(m, extent, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    points, known = (rng.integers(0, extent, (2, k, 3)).astype(np.float32) for k in (5, m))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_buckets, "BUCKET_SIZE", 2)
        ids = three_nearest(torch.from_numpy(points), torch.from_numpy(known))[1]
    assert ids.tolist() == [slow_three(*scene) for scene in zip(points, known, strict=True)]


def test_three_known_points_are_enough_and_no_point_is_fine():
    known = torch.tensor([[[3.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    distances, ids = three_nearest(torch.zeros(1, 1, 3), known)
    assert (distances.tolist(), ids.tolist()) == ([[[1, 2, 3]]], [[[1, 2, 0]]])
    assert three_nearest(known[:, :0], known)[1].shape == (1, 0, 3)


def test_neighbors_of_other_types_are_those_of_the_wider_one():
    points = torch.from_numpy(cloud(50))[None].requires_grad_()
    half = points.detach().half()
    found = ball_query(points, half, radius=0.3, count=9)
    assert torch.equal(found, ball_query(points, half.float(), radius=0.3, count=9))
    distances, ids = three_nearest(half, points)
    assert torch.equal(ids, three_nearest(half.float(), points)[1])
    assert not distances.requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same():
    points = torch.from_numpy(cloud(5000)).view(1, -1, 3)
    centers = points[:, ::10]
    found = ball_query(points.cuda(), centers.cuda(), radius=0.1, count=16)
    assert torch.equal(found.cpu(), ball_query(points, centers, radius=0.1, count=16))
    pairs = zip(
        three_nearest(points.cuda(), centers.cuda()), three_nearest(points, centers), strict=True
    )
    for ours, theirs in pairs:
        assert torch.equal(ours.cpu(), theirs)


POINTS = torch.ones(2, 4, 3)
BALL = {"points": POINTS, "centers": POINTS[:, :1], "radius": 1.0, "count": 2}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"radius": 0.0}, "radius must be above 0 and finite, got 0.0"),
        ({"radius": torch.nan}, "radius must be above 0 and finite, got nan"),
        ({"radius": torch.inf}, "radius must be above 0 and finite, got inf"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"points": POINTS[:, :0]}, "points must hold at least one point a scene, got none"),
        ({"points": POINTS * torch.nan}, "points must be finite"),
        ({"centers": POINTS * torch.inf}, "centers must be finite"),
        ({"centers": POINTS[:1]}, r"centers must have shape \(b, m, 3\) with b = 2 as of points"),
    ],
)
def test_a_ball_query_rejects(change, problem):
    with pytest.raises(ValueError, match=problem):
        checked(inspect.unwrap(ball_query))(**(BALL | change))  # without their type checker


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"known": POINTS[:, :2]}, "known must hold at least 3 points a scene, got 2"),
        ({"known": POINTS * torch.nan}, "known must be finite"),
        ({"points": POINTS * torch.nan}, "points must be finite"),
        ({"known": POINTS[:1]}, r"known must have shape \(b, m, 3\) with b = 2 as of points"),
    ],
)
def test_three_nearest_rejects(change, problem):
    with pytest.raises(ValueError, match=problem):
        checked(inspect.unwrap(three_nearest))(**({"points": POINTS, "known": POINTS} | change))
