"""Tests of pcl_pseudolabel.clustering."""

from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_pseudolabel import cluster_proposals


def breadth_first(points, labels, scene, radius, min_points, ignore) -> list[int]:
    """The search of sec. 3 of TWIST, in index order."""
    points, n = points.double(), len(points)
    near = ((points[:, None] - points[None]) ** 2).sum(-1) < radius**2
    result, visited, found = [-1] * n, [False] * n, 0
    for first in range(n):
        if visited[first] or labels[first] < 0 or int(labels[first]) in ignore:
            continue
        visited[first], queue, members = True, deque([first]), [first]
        while queue:
            i = queue.popleft()
            for j in range(n):
                same = labels[i] == labels[j] and scene[i] == scene[j]
                if same and near[i, j] and not visited[j]:
                    visited[j] = True
                    queue.append(j)
                    members.append(j)
        if len(members) >= min_points:
            for i in members:
                result[i] = found
            found += 1
    return result


def random_scene(seed: int, n: int, extent: int, n_labels: int = 3):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(0, extent * 8 + 1, (n, 3), generator=generator) / 8
    labels = torch.randint(-1, n_labels, (n,), generator=generator)
    scene = torch.randint(0, 2, (n,), generator=generator).sort().values
    return points, labels, scene


@given(
    st.integers(0, 10_000),
    st.integers(1, 60),
    st.sampled_from([0, 1, 2, 4]),
    st.sampled_from([0.25, 0.5, 1.0, 3.0]),
    st.integers(1, 4),
    st.sampled_from([(), (1,), (0, 2)]),
)
def test_finds_what_breadth_first_search_finds(seed, n, extent, radius, min_points, ignore):
    points, labels, scene = random_scene(seed, n, extent)
    found = cluster_proposals(
        points, labels, scene, radius=radius, min_points=min_points, ignore=ignore
    )
    assert found.tolist() == breadth_first(points, labels, scene, radius, min_points, ignore)


@pytest.mark.parametrize("spread", [0.05, 0.1])
def test_dense_blobs_equal_the_search(spread):
    """Many points a cell, blobs that touch in single points: the closest pairs decide."""
    generator = torch.Generator().manual_seed(3)
    centers = torch.rand(40, 1, 3, generator=generator) * 40 * spread
    points = (centers + 0.05 * torch.randn(40, 10, 3, generator=generator)).reshape(-1, 3)
    labels = torch.zeros(400, dtype=torch.long)
    found = cluster_proposals(points, labels, labels, radius=0.2, min_points=1)
    assert found.tolist() == breadth_first(points, labels, labels, 0.2, 1, ())
    assert found.max() > 1


def test_two_dense_cells_join_through_their_closest_pair_alone():
    """First points are far apart, one pair of points is near."""
    a = torch.tensor([[0.0, 0, 0], [0.5, 0, 0]])
    b = torch.tensor([[1.75, 0, 0], [1.25, 0, 0]])
    zeros = torch.zeros(4, dtype=torch.long)
    for gap, expected in [(0.0, [0, 0, 0, 0]), (0.25, [0, 0, 1, 1])]:
        points = torch.cat([a, b + torch.tensor([gap, 0, 0])])
        found = cluster_proposals(points, zeros, zeros, radius=1.0, min_points=1)
        assert found.tolist() == expected


def test_the_radius_itself_is_too_far():
    points, zeros = torch.tensor([[0.0, 0, 0], [0.0, 1, 0]]), torch.tensor([0, 0])
    assert cluster_proposals(points, zeros, zeros, radius=1.0, min_points=1).tolist() == [0, 1]
    assert cluster_proposals(points, zeros, zeros, radius=1.001, min_points=1).tolist() == [0, 0]


def test_far_corners_of_a_cube_are_apart():
    """The diagonal of a cell must not exceed the radius: 0.6 * sqrt(3) = 1.04."""
    points, zeros = torch.tensor([[0.0, 0, 0], [0.6, 0.6, 0.6]]), torch.tensor([0, 0])
    assert cluster_proposals(points, zeros, zeros, radius=1.0, min_points=1).tolist() == [0, 1]


def partition(proposals: torch.Tensor) -> set[frozenset[int]]:
    ids = proposals[proposals >= 0].unique()
    return {frozenset((proposals == i).nonzero()[:, 0].tolist()) for i in ids}


@given(st.integers(0, 10_000))
def test_order_scale_and_axes_do_not_matter(seed):
    points, labels, scene = random_scene(seed, 40, 2)
    found = cluster_proposals(points, labels, scene, radius=0.5, min_points=2)

    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    shuffled = cluster_proposals(
        points[order], labels[order], scene[order], radius=0.5, min_points=2
    )
    back = torch.empty_like(shuffled)
    back[order] = shuffled
    assert partition(back) == partition(found)

    # exact in binary: a power of two, a quarter turn, a shift by whole metres
    turned = torch.stack([-points[:, 1], points[:, 0], points[:, 2]], 1) + torch.tensor([8, -64, 3])
    moved = cluster_proposals(4 * turned, labels, scene, radius=2.0, min_points=2)
    assert moved.tolist() == found.tolist()


def test_rotation_changes_nothing_away_from_the_radius():
    points, labels, scene = random_scene(5, 200, 4)
    turn, _ = torch.linalg.qr(
        torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()
    )
    # squared distances are multiples of 1/64; 0.51 m is between two of them
    found = cluster_proposals(points, labels, scene, radius=0.51, min_points=1)
    turned = cluster_proposals(points.double() @ turn, labels, scene, radius=0.51, min_points=1)
    assert turned.tolist() == found.tolist()


def test_default_minimum_is_fifty_points():
    points = torch.zeros(99, 3)
    points[50:, 0] = 9
    zeros = torch.zeros(99, dtype=torch.long)
    assert cluster_proposals(points, zeros, zeros, radius=1.0).unique().tolist() == [-1, 0]


def test_no_points_give_no_proposals():
    none = torch.zeros(0, dtype=torch.long)
    assert cluster_proposals(torch.zeros(0, 3), none, none, radius=1.0).shape == (0,)


@pytest.mark.parametrize(
    ("points", "radius", "min_points", "message"),
    [
        ([[0.0, 0, 0]], 0.0, 1, "radius must be positive, got 0.0"),
        ([[0.0, 0, 0]], float("nan"), 1, "radius must be positive, got nan"),
        ([[0.0, 0, 0]], 1.0, 0, "min_points must be at least 1, got 0"),
        ([[0.0, 0, float("nan")]], 1.0, 1, "points must be finite"),
        ([[0.0, 0, 0], [1e9, 1e9, 1e9]], 1e-3, 1, "radius must suit the extent"),
    ],
)
def test_rejects(points, radius, min_points, message):
    zeros = torch.zeros(len(points), dtype=torch.long)
    with pytest.raises(ValueError, match=message):
        cluster_proposals(torch.tensor(points), zeros, zeros, radius=radius, min_points=min_points)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_equals_cpu():
    points, labels, scene = random_scene(1, 200, 3)
    found = cluster_proposals(points, labels, scene, radius=0.5, min_points=2)
    on_gpu = cluster_proposals(points.cuda(), labels.cuda(), scene.cuda(), radius=0.5, min_points=2)
    assert on_gpu.is_cuda
    assert on_gpu.tolist() == found.tolist()
