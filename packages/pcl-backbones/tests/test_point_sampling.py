"""Tests of pcl_backbones.point_sampling."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones import point_buckets
from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_sampling import _in_torch, furthest_points


def slow_furthest(points, count):
    """One scene, from the equation."""
    nearest, chosen = np.full(len(points), np.inf, points.dtype), [0]
    while len(chosen) < count:
        dx, dy, dz = (points - points[chosen[-1]]).T
        nearest = np.minimum(nearest, dx * dx + dy * dy + dz * dz)
        chosen.append(int(nearest.argmax()))
    return chosen


def room(n, seed=0):
    """Points of a floor, two walls and a sphere, metres."""
    rng = np.random.default_rng(seed)
    points, kind = rng.random((n, 3)) * [6, 4, 2.5], rng.integers(0, 4, n)
    for k, axis in enumerate((2, 0, 1)):
        points[kind == k, axis] = rng.normal(size=(kind == k).sum()) * 0.01
    sphere = rng.normal(size=(n, 3))
    sphere *= 0.5 / np.linalg.norm(sphere, axis=1, keepdims=True)
    points[kind == 3] = (sphere + np.array([3, 2, 0.5]))[kind == 3]
    return points.astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", ["room", "whole numbers"])
def test_ids_are_those_of_the_equation(spread, dtype):
    whole = np.random.default_rng(1).integers(0, 9, (3000, 3))  # 729 places, many ties
    points = (room(3000) if spread == "room" else whole).astype(dtype)
    found = furthest_points(torch.from_numpy(points)[None], 900)
    assert found.tolist() == [slow_furthest(points, 900)]


@given(st.integers(1, 5), st.integers(1, 60), st.data())
def test_any_cloud_with_places_taken_twice(extent, n, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    points = rng.integers(0, extent, (2, n, 3)).astype(np.float32)
    count = data.draw(st.integers(1, n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_buckets, "BUCKET_SIZE", 4)
        found = furthest_points(torch.from_numpy(points), count)
    assert found.tolist() == [slow_furthest(scene, count) for scene in points]


def test_a_hand_value():
    """From 0 the furthest is 8; then 4 is 4 from both; then 2 and 6 are 2 away, 6 comes first."""
    points = torch.zeros(1, 6, 3)
    points[0, :, 1] = torch.tensor([0.0, 8, 4, 6, 2, 4])
    assert furthest_points(points, 5).tolist() == [[0, 1, 2, 3, 4]]


def test_all_points_are_chosen_once_where_all_differ():
    points = torch.from_numpy(room(500))[None]
    assert furthest_points(points, 500)[0].sort().values.tolist() == list(range(500))
    assert furthest_points(points, 1).tolist() == [[0]]
    assert furthest_points(points[:, :1], 1).tolist() == [[0]]
    assert furthest_points(torch.zeros(0, 4, 3), 2).shape == (0, 2)


def test_fewer_places_than_asked_for_give_the_first_point_again():
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]])[None]
    assert furthest_points(points, 4).tolist() == [[0, 1, 0, 0]]


def test_points_near_the_origin_count():
    points = torch.tensor([[[5.0, 0, 0], [5.01, 0, 0], [0.01, 0, 0]]])
    assert furthest_points(points, 2).tolist() == [[0, 2]]


def test_the_first_ids_are_those_of_fewer_points_and_their_own_furthest_points():
    points = torch.from_numpy(room(2000))[None]
    many = furthest_points(points, 200)
    assert torch.equal(many[:, :90], furthest_points(points, 90))
    assert furthest_points(points[:, many[0]], 90).tolist() == [list(range(90))]


def test_a_shift_changes_nothing_where_it_is_exact():
    points = torch.from_numpy(np.round(room(1000) * 64) / 64)[None]
    assert torch.equal(furthest_points(points + 64, 100), furthest_points(points, 100))


def test_scenes_strides_and_half_precision():
    scenes = torch.from_numpy(np.stack([room(300, seed) for seed in range(3)]))
    found = furthest_points(scenes, 40)
    assert torch.equal(found[1:2], furthest_points(scenes[1:2], 40))
    strided = scenes.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(furthest_points(strided.requires_grad_(), 40), found)
    half = scenes.bfloat16()
    assert torch.equal(furthest_points(half, 40), furthest_points(half.float(), 40))


def test_two_threads_choose_the_same():
    points, n_threads = torch.from_numpy(room(3000))[None], torch.get_num_threads()
    one = furthest_points(points, 100)
    torch.set_num_threads(2)
    try:
        assert torch.equal(furthest_points(points, 100), one)
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_operations_choose_the_same(dtype):
    points = torch.from_numpy(np.stack([room(600, seed) for seed in range(2)])).to(dtype)
    points[1] = points[1].round()  # ties
    assert torch.equal(_in_torch(points, 150), furthest_points(points, 150))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_chooses_the_same():
    points = torch.from_numpy(np.stack([room(5000, seed) for seed in range(2)]))
    assert torch.equal(furthest_points(points.cuda(), 500).cpu(), furthest_points(points, 500))


@pytest.mark.real
def test_a_real_scan(real_data):
    points = np.load(real_data / "scannet" / "points50k" / "scene0001_00.npz")["coord"][:20_000]
    points = points.astype(np.float32)
    assert furthest_points(torch.from_numpy(points)[None], 512).tolist() == [
        slow_furthest(points, 512)
    ]


@pytest.mark.parametrize(
    ("points", "count", "problem"),
    [
        (torch.ones(1, 4, 3), 0, r"count must lie in \[1, 4\], the number of points, got 0"),
        (torch.ones(1, 4, 3), 5, r"count must lie in \[1, 4\], the number of points, got 5"),
        (torch.ones(1, 0, 3), 1, r"count must lie in \[1, 0\], the number of points, got 1"),
        (torch.full((1, 4, 3), torch.nan), 2, "points must be finite"),
        (torch.ones(1, 4, 2), 2, r"points must have shape \(b, n, 3\), got \(1, 4, 2\)"),
        (torch.ones(1, 4, 3).int(), 2, "points must be of floating point, got int32"),
    ],
)
def test_rejects(points, count, problem):
    with pytest.raises(ValueError, match=problem):
        checked(inspect.unwrap(furthest_points))(points, count)  # without their type checker
