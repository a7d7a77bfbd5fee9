"""Tests of pcl_data.readers.posed_frames."""

import numpy as np
import pytest
from PIL import Image

from pcl_data.readers.posed_frames import (
    FrameFiles,
    check_principal_point,
    read_ids,
    read_posed_frame,
    resized_ids,
    scaled_intrinsics,
    tracked_poses,
)

INTRINSICS = np.array([[4.0, 0, 1.5], [0, 4, 1], [0, 0, 1]])
POSE = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


@pytest.fixture
def files(tmp_path):
    """A frame of 6 x 8 colour and 3 x 4 depth: 1 m, but 0 and 65535 in two corners."""
    depth = np.full((3, 4), 1000, np.uint16)
    depth[0, 0], depth[2, 3] = 0, 65535
    image = np.zeros((6, 8, 3), np.uint8)
    image[:, 4:] = 200
    files = FrameFiles(tmp_path / "c.png", tmp_path / "d.png", tmp_path / "p.txt")
    Image.fromarray(image).save(files.color)
    Image.fromarray(depth).save(files.depth)
    np.savetxt(files.pose, POSE)
    return files


def test_colour_is_resized_to_the_depth_and_both_marks_of_no_depth_become_zero(files):
    frame = read_posed_frame(files, POSE, INTRINSICS)
    assert frame.depth.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]]
    assert frame.image.shape == (3, 4, 3)
    assert frame.image[:, 0].max() == 0
    assert frame.image[:, 3].min() == 200
    np.testing.assert_array_equal(frame.intrinsics, INTRINSICS)


def test_intrinsics_of_the_colour_camera_are_scaled(files):
    frame = read_posed_frame(files, POSE, INTRINSICS, of_color=True)
    np.testing.assert_allclose(frame.intrinsics, [[2, 0, 0.5], [0, 2, 0.25], [0, 0, 1]])


def test_a_frame_without_depth_has_the_colour_image_as_it_is(files):
    files = FrameFiles(files.color, None, files.pose)
    frame = read_posed_frame(files, POSE, INTRINSICS, of_color=True)
    assert (frame.depth, frame.image.shape) == (None, (6, 8, 3))
    np.testing.assert_array_equal(frame.intrinsics, INTRINSICS)
    assert files.all() == (files.color, files.pose)


def test_the_principal_point_lies_in_the_middle_half_of_the_image():
    middle = np.array([[4.0, 0, 3.5], [0, 4, 2.5], [0, 0, 1]])  # of 6 x 8
    for x, y, fits in ((0, 0, True), (1.9, 1.4, True), (2, 0, False), (0, -1.5, False)):
        moved = middle + np.array([[0, 0, x], [0, 0, y], [0, 0, 0]])
        if fits:
            check_principal_point(moved, (6, 8))
        else:
            with pytest.raises(ValueError, match=r"of 6 x 8 pixels, got \(.*are they those of"):
                check_principal_point(moved, (6, 8))


def test_a_point_stays_on_its_spot_of_the_image_when_it_is_resized():
    corners = np.array([[-0.5, -0.5], [7.5, 5.5]])  # of 6 x 8 pixels, whose centres are whole
    scaled = scaled_intrinsics(INTRINSICS, (6, 8), (3, 4))
    rays = np.column_stack([corners, [1, 1]]) @ np.linalg.inv(INTRINSICS).T
    np.testing.assert_allclose((rays @ scaled.T)[:, :2], [[-0.5, -0.5], [3.5, 2.5]])


def test_lost_poses_are_left_out(tmp_path, files):
    lost = tmp_path / "lost.txt"
    lost.write_text("-inf -inf -inf -inf\n" * 4)
    frames = {"0": files, "1": FrameFiles(files.color, files.depth, lost)}
    assert list(tracked_poses(frames)) == ["0"]
    np.testing.assert_array_equal(tracked_poses(frames)["0"], POSE)


@pytest.mark.parametrize("bad", ["nan 0 0 0", "inf 0 0 0", "-inf 0 0 0", "inf inf inf inf"])
def test_other_poses_that_are_not_finite_are_an_error_that_names_the_file(files, bad):
    files.pose.write_text(f"{bad}\n" * 4)
    with pytest.raises(ValueError, match=r"p\.txt: must hold finite numbers, or -inf alone"):
        tracked_poses({"0": files})


def test_a_missing_image_is_missing(files):
    files.depth.unlink()
    with pytest.raises(FileNotFoundError):
        read_posed_frame(files, POSE, INTRINSICS)


def test_ids_are_read_from_8_and_16_bits_and_not_from_colours(tmp_path):
    path = tmp_path / "ids.png"
    for ids in (np.array([[1, 40]], np.uint8), np.array([[5002, 0]], np.uint16)):
        Image.fromarray(ids).save(path)
        assert read_ids(path).tolist() == ids.tolist()
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)
    with pytest.raises(ValueError, match=r"ids\.png: .* mode RGB"):
        read_ids(path)


def test_ids_are_resized_to_the_nearest():
    ids = np.arange(24).reshape(4, 6)
    assert resized_ids(ids, (2, 3)).tolist() == [[7, 9, 11], [19, 21, 23]]
    assert resized_ids(ids, (4, 6)).tolist() == ids.tolist()
    assert resized_ids(ids[:1, :2], (2, 4)).tolist() == [[0, 0, 1, 1]] * 2
