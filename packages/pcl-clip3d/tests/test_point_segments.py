"""Tests of pcl_clip3d.point_segments."""

import math

import numpy as np
import pytest
import torch

from pcl_clip3d.graph_segments import segment_graph
from pcl_clip3d.point_segments import segment_points


def plane(n_rows, n_columns, *, spacing=1.0):
    """Points of the floor, at multiples of the spacing."""
    y, x = torch.meshgrid(torch.arange(n_rows), torch.arange(n_columns), indexing="ij")
    flat = torch.stack([x.flatten(), y.flatten(), torch.zeros(n_rows * n_columns)], dim=1)
    return spacing * flat.double()


def slow_segments(points, normals, n_neighbors, k, min_points):
    points = points.numpy()
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    order = np.argsort(distances, axis=1)[:, : n_neighbors + 1]
    if normals is None:
        planes = [np.linalg.svd(points[rows] - points[rows].mean(axis=0)) for rows in order]
        units = [plane[2][2] for plane in planes]
    else:
        units = [normal / np.linalg.norm(normal) for normal in normals.numpy()]
    spacing = [np.median(distances[row, rows[1:]]) for row, rows in enumerate(order)]
    edges, weights = [], []
    for row, rows in enumerate(order):
        for other in rows:
            if distances[row, other] <= 3 * min(spacing[row], spacing[other]):
                edges.append([row, other])
                weights.append(1 - abs(units[row] @ units[other]))
    edges, weights = np.array(edges), np.array(weights)
    return segment_graph(edges, weights, len(points), k=k, min_points=min_points)


@pytest.mark.parametrize("given", [True, False], ids=["normals", "no normals"])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_loops_over_all_pairs_give(seed, given):
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    points = torch.rand(60, 3, **options) * torch.tensor([3.0, 3.0, 0.2])
    points[50:] *= 4  # sparse ones, so that some edges are too long
    normals = torch.randn(60, 3, **options) + torch.tensor([0, 0, 6.0]) if given else None
    sets = segment_points(points, normals=normals, n_neighbors=6, k=0.02, min_points=3)
    assert 1 < sets.max() < 59
    assert sets.tolist() == slow_segments(points, normals, 6, 0.02, 3).tolist()


def test_a_floor_and_a_wall_are_two_sets():
    floor = plane(12, 12)
    wall = floor[:, [2, 1, 0]] + torch.tensor([-0.5, 0.0, 0.5])
    sets = segment_points(torch.cat([floor, wall]), n_neighbors=8)
    assert sets.unique().tolist() == [0, 1]
    # Fitted planes are tilted within a neighbour of the edge.
    assert (sets[:144].reshape(12, 12)[:, 2:] == 0).all()
    assert (sets[144:].reshape(12, 12)[:, 2:] == 1).all()


def test_the_sign_and_the_length_of_normals_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(80, 3, generator=generator)
    normals = torch.randn(80, 3, generator=generator)
    factors = torch.randn(80, 1, generator=generator)
    options = {"n_neighbors": 5, "k": 0.3, "min_points": 2}
    sets = segment_points(points, normals=normals, **options)
    assert 1 < sets.max() < 79
    assert torch.equal(sets, segment_points(points, normals=normals * factors, **options))


def test_a_normal_of_zeros_is_like_no_other():
    normals = torch.zeros(30, 3)
    sets = segment_points(plane(5, 6), normals=normals, k=0.99, min_points=1)
    assert sets.tolist() == list(range(30))


def test_what_is_far_apart_for_the_density_is_not_joined():
    near, far = plane(5, 5), plane(2, 2) + torch.tensor([40.0, 0, 0])
    sets = segment_points(torch.cat([near, far]), n_neighbors=8, min_points=20)
    assert sets.tolist() == [0] * 25 + [1] * 4  # too small, and yet alone
    sparse = plane(5, 5, spacing=40)
    assert segment_points(sparse, n_neighbors=8).tolist() == [0] * 25


def test_sets_do_not_depend_on_the_unit():
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(100, 3, generator=generator).double()
    options = {"n_neighbors": 7, "k": 0.2, "min_points": 4}
    sets = segment_points(points, **options)
    assert sets.max() > 2
    assert torch.equal(sets, segment_points(1024 * points, **options))


def test_points_in_one_place_are_one_set():
    assert segment_points(torch.ones(40, 3)).tolist() == [0] * 40


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_points(n):
    points = plane(1, n) if n else torch.zeros(0, 3)
    sets = segment_points(points)
    assert sets.dtype == torch.int64
    assert sets.tolist() == [0] * n


def test_arguments_that_are_refused():
    points = torch.rand(4, 3)
    with pytest.raises(ValueError, match="points must be finite, got NaN or infinity"):
        segment_points(points * math.nan)
    with pytest.raises(ValueError, match="normals must be finite, got NaN or infinity"):
        segment_points(points, normals=points * math.inf)
    with pytest.raises(ValueError, match=r"normals must have shape \(n, 3\) with n = 4 as of poi"):
        segment_points(points, normals=points[:2])
    with pytest.raises(ValueError, match="n_neighbors must be at least 1, got 0"):
        segment_points(points, n_neighbors=0)
    with pytest.raises(ValueError, match="k must be finite and not negative, got -1"):
        segment_points(points, k=-1)
    with pytest.raises(ValueError, match="min_points must be at least 1, got 0"):
        segment_points(points, min_points=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sets_are_on_the_device_of_the_points():
    points = plane(6, 6)
    found = segment_points(points.cuda(), normals=torch.ones_like(points).cuda())
    assert found.is_cuda
    assert found.tolist() == [0] * 36
