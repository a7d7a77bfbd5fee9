"""Tests of pcl_data.pairs.unprojection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Frame
from pcl_data.pairs import fuse_frames, unproject

TURN = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # the camera looks along world x


def make_frame(seed=0, depth=None) -> Frame:
    rng = np.random.default_rng(seed)
    if depth is None:
        depth = rng.uniform(0.5, 4, (6, 8)) * (rng.random((6, 8)) < 0.7)
    image = rng.integers(0, 256, (*depth.shape, 3), np.uint8)
    intrinsics = np.array([[7.0, 0, 3.5], [0, 6.0, 2.5], [0, 0, 1]])
    camera_to_world = np.eye(4)
    camera_to_world[:3] = np.hstack([TURN, rng.normal(size=(3, 1))])
    return Frame(image, depth.astype(np.float32), intrinsics, camera_to_world)


@given(st.integers(0, 20))
def test_every_measured_pixel_gives_its_point_by_the_pinhole_equations(seed):
    frame = make_frame(seed)
    points, colors, pixel_index = unproject(frame)
    at = 0
    for row in range(6):
        for column in range(8):
            z = float(frame.depth[row, column])
            if z == 0:
                continue
            camera = [(column - 3.5) * z / 7, (row - 2.5) * z / 6, z]
            expected = TURN @ camera + frame.camera_to_world[:3, 3]
            # float32 rounds coordinates of a few metres by less than a micrometre
            np.testing.assert_allclose(points[at], expected, atol=1e-6)
            np.testing.assert_array_equal(colors[at], frame.image[row, column])
            assert pixel_index[at].tolist() == [row, column]
            at += 1
    assert at == len(points) == len(colors) == len(pixel_index)


def test_the_optical_axis_points_forward_and_pixels_run_right_and_down():
    depth = np.zeros((3, 3), np.float32)
    depth[1, 1], depth[1, 2], depth[2, 1] = 2, 2, 2
    intrinsics = np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 1]])
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = TURN
    frame = Frame(np.zeros((3, 3, 3), np.uint8), depth, intrinsics, camera_to_world)
    ahead, right, down = unproject(frame).points
    assert ahead.tolist() == [2, 0, 0]
    assert right.tolist() == [2, -2, 0]  # world y is to the left of somebody who looks along x
    assert down.tolist() == [2, 0, -2]


def test_a_frame_that_measured_nothing_gives_no_points():
    points, colors, pixel_index = unproject(make_frame(depth=np.zeros((4, 5))))
    assert points.shape == (0, 3)
    assert colors.shape == (0, 3)
    assert pixel_index.shape == (0, 2)


def test_a_frame_needs_depth():
    frame = Frame(np.zeros((2, 2, 3), np.uint8), None, np.eye(3), np.eye(4))
    with pytest.raises(ValueError, match="frame must have a depth image, got None"):
        unproject(frame)


@given(st.integers(0, 20))
def test_fused_frames_are_the_first_point_of_each_voxel(seed):
    frames = [make_frame(seed), make_frame(seed), make_frame(seed + 100)]
    points, colors = fuse_frames(frames, 0.3)
    first = {}
    for frame in frames:
        cloud = unproject(frame)
        for point, color in zip(cloud.points, cloud.colors, strict=True):
            cell = tuple(np.floor(point / np.float32(0.3)).astype(int))
            first.setdefault(cell, (*point.tolist(), *color.tolist()))
    found = np.hstack([points, colors]).tolist()
    assert sorted(map(tuple, found)) == sorted(first.values())


def test_nothing_to_fuse_gives_no_points_and_bad_input_is_named():
    points, colors = fuse_frames([make_frame(depth=np.zeros((2, 2)))], 0.1)
    assert (points.shape, colors.shape) == ((0, 3), (0, 3))
    assert (points.dtype, colors.dtype) == (np.float32, np.uint8)
    with pytest.raises(ValueError, match="voxel_size must be positive"):
        fuse_frames([make_frame()], 0.0)
