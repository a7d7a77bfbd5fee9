"""Tests of pcl_clip3d.mesh_segments."""

import math

import numpy as np
import pytest
import torch

from pcl_clip3d.graph_segments import segment_graph
from pcl_clip3d.mesh_segments import segment_mesh


def grid(n_rows, n_columns, heights):
    """Vertices at whole x (columns) and y (rows) with heights; two faces a square, turned up."""
    y, x = torch.meshgrid(torch.arange(n_rows), torch.arange(n_columns), indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.as_tensor(heights).flatten()], dim=1)
    faces = []
    for row in range(n_rows - 1):
        for column in range(n_columns - 1):
            a = row * n_columns + column
            b, c, d = a + 1, a + n_columns, a + n_columns + 1
            faces += [[a, b, d], [d, c, a]]  # edges lead both ways
    return points.double(), torch.tensor(faces)


def slow_segments(points, faces, k, min_points):
    """Running means of normals and the weights of edges, one face after the other."""
    points = points.numpy()
    normals, counts = np.zeros((len(points), 3)), np.zeros(len(points))
    for face in faces.tolist():
        p0, p1, p2 = points[face]
        normal = np.cross(p1 - p0, p2 - p0)
        normal /= np.linalg.norm(normal)
        for vertex in face:
            normals[vertex] += (normal - normals[vertex]) / (counts[vertex] + 1)
            counts[vertex] += 1
    edges, weights = [], []
    for v0, v1, v2 in faces.tolist():
        for a, b in ((v0, v1), (v0, v2), (v2, v1)):
            weight = 1 - normals[a] @ normals[b]
            direction = (points[b] - points[a]) / np.linalg.norm(points[b] - points[a])
            edges.append([a, b])
            weights.append(weight**2 if normals[b] @ direction > 0 else weight)
    edges, weights = np.array(edges), np.array(weights)
    return segment_graph(edges, weights, len(points), k=k, min_points=min_points)


def torus(seed):
    """A rough surface without a border, where rounding would tell convex from concave."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(12), torch.arange(8), indexing="ij")
    u, v = (2 * math.pi * rows / 12).flatten(), (2 * math.pi * columns / 8).flatten()
    radius = 1 + 0.3 * torch.rand(96, generator=generator)
    across = 3 + radius * v.cos()
    points = torch.stack([across * u.cos(), across * u.sin(), radius * v.sin()], dim=1)
    a, b = (8 * rows + columns).flatten(), (8 * rows + (columns + 1) % 8).flatten()
    c, d = (a + 8) % 96, (b + 8) % 96
    faces = torch.cat([torch.stack([a, c, b], dim=1), torch.stack([b, c, d], dim=1)])
    return points, faces


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("k", "min_points"), [(0.1, 1), (0.3, 1), (0.05, 6)])
def test_it_is_what_loops_over_faces_give(seed, k, min_points):
    points, faces = torus(seed)
    sets = segment_mesh(points, faces, k=k, min_points=min_points)
    assert 1 < sets.max() < len(points) - 2
    assert sets.tolist() == slow_segments(points.double(), faces, k, min_points).tolist()


def test_a_plane_is_one_set():
    points, faces = grid(8, 8, torch.zeros(8, 8))
    tilted = points + points[:, :1] * torch.tensor([0.0, 0.0, 0.75])
    assert segment_mesh(tilted, faces).tolist() == [0] * 64


@pytest.mark.parametrize("side", [1, -1], ids=["concave", "convex"])
def test_planes_at_a_right_angle_are_two_sets(side):
    points, faces = grid(8, 11, torch.zeros(8, 11))
    x = points[:, 0]
    points[:, 2] = side * (x - 5).clamp(min=0)  # folded along the column x = 5
    points[:, 0] = x.clamp(max=5)
    sets = segment_mesh(points, faces, min_points=10).reshape(8, 11)
    assert sets.unique().tolist() == [0, 1]
    assert (sets[:, :5] == 0).all()
    assert (sets[:, 6:] == 1).all()


def fold(angle, side):
    """Two strips of 3 x 2 squares that meet at x = 3, bent by an angle up (1) or down (-1)."""
    points, faces = grid(3, 7, torch.zeros(3, 7))
    beyond = (points[:, 0] - 3).clamp(min=0)
    points[:, 0] += beyond * (math.cos(angle) - 1)
    points[:, 2] += side * beyond * math.sin(angle)
    return points, faces


def test_convex_edges_join_more_easily_than_concave_ones():
    # From a strip to the middle of the crease, where N = (n + n') / 2, an edge weighs
    # 1 - (1 + 0.75) / 2 = 1/8, to an end of it 1/6 or 1/12. The limit of a strip, of 9 vertices, is
    # k / 9 = 1/16. That of a vertex is k, so that those of the crease join each other.
    options = {"k": 9 / 16, "min_points": 1}
    concave, convex = fold(math.acos(0.75), 1), fold(math.acos(0.75), -1)
    assert segment_mesh(*concave, **options).tolist() == [0, 0, 0, 1, 2, 2, 2] * 3
    # Squares are 1/64, 1/36 and 1/144.
    assert segment_mesh(*convex, **options).tolist() == [0] * 21
    # Seen from below it is concave.
    turned = segment_mesh(convex[0], convex[1].flip(1), **options)
    assert turned.tolist() == [0, 0, 0, 1, 2, 2, 2] * 3


def test_surfaces_that_do_not_touch_stay_apart_and_are_numbered_by_first_vertex():
    points, faces = grid(2, 2, torch.zeros(2, 2))
    both = torch.cat([points, points + 9, points[:1] - 9])
    sets = segment_mesh(both, torch.cat([faces + 4, faces]))
    assert sets.tolist() == [0] * 4 + [1] * 4 + [2]


def test_faces_without_area_are_left_out():
    points, faces = grid(8, 8, torch.zeros(8, 8))
    flat = torch.tensor([[0, 1, 2], [5, 5, 9], [3, 3, 3]])
    assert segment_mesh(points, torch.cat([flat, faces])).tolist() == [0] * 64
    assert segment_mesh(points, flat).tolist() == list(range(64))


def test_duplicate_vertices_make_no_nan():
    points, faces = grid(3, 3, torch.zeros(3, 3))
    points = torch.cat([points, points[4:5]])
    faces[0] = torch.tensor([0, 1, 9])
    assert segment_mesh(points, faces).tolist() == [0] * 10


def test_a_mesh_that_is_moved_scaled_and_turned_has_the_same_sets():
    generator = torch.Generator().manual_seed(3)
    points, faces = grid(9, 9, torch.rand(9, 9, generator=generator))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    turn *= turn.det().sign()
    sets = segment_mesh(points, faces, k=0.1, min_points=3)
    assert sets.max() > 3
    assert torch.equal(sets, segment_mesh(7 * points @ turn.T + 5, faces, k=0.1, min_points=3))


def test_types_of_the_input_do_not_matter():
    points, faces = grid(5, 5, torch.arange(25) % 3)
    sets = segment_mesh(points, faces, k=0.2, min_points=2)
    assert torch.equal(sets, segment_mesh(points.float(), faces.int(), k=0.2, min_points=2))
    assert torch.equal(sets, segment_mesh(points.requires_grad_(), faces, k=0.2, min_points=2))
    assert sets.dtype == torch.int64


def test_no_faces_and_no_points():
    none = torch.zeros(0, 3, dtype=torch.long)
    assert segment_mesh(torch.zeros(2, 3), none).tolist() == [0, 1]
    assert segment_mesh(torch.zeros(0, 3), none).tolist() == []


@pytest.mark.parametrize("corner", [-1, 3])
def test_a_face_of_a_point_that_is_not_there_is_refused(corner):
    with pytest.raises(ValueError, match=r"faces must lie in \[0, 3\), got"):
        segment_mesh(torch.rand(3, 3), torch.tensor([[0, 1, corner]]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_points_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="points must be finite, got NaN or infinity"):
        segment_mesh(torch.full((1, 3), value), torch.zeros(0, 3, dtype=torch.long))


def test_other_arguments_that_are_refused():
    points, faces = grid(2, 2, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="k must be finite and not negative, got -1"):
        segment_mesh(points, faces, k=-1)
    with pytest.raises(ValueError, match="min_points must be at least 1, got 0"):
        segment_mesh(points, faces, min_points=0)
    with pytest.raises(ValueError, match=r"faces must have shape \(f, 3\), got \(2, 4\)"):
        segment_mesh(points, torch.zeros(2, 4, dtype=torch.long))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sets_are_on_the_device_of_the_points():
    points, faces = grid(5, 5, torch.arange(25) % 3)
    found = segment_mesh(points.cuda(), faces.cuda(), k=0.2)
    assert found.is_cuda
    assert torch.equal(found.cpu(), segment_mesh(points, faces, k=0.2))
