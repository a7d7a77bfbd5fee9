"""Tests of pcl_data.readers.kitti_calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.readers.kitti_calibration import pinhole, read_kitti_calibration, read_kitti_poses
from pcl_data.rigid import transform_points

FOCAL, CENTRE = 700.0, (600.0, 180.0)
P2 = np.array([[FOCAL, 0, CENTRE[0], 45.0], [0, FOCAL, CENTRE[1], -0.2], [0, 0, 1, 0.004]])


def test_named_matrices_are_read_and_others_passed_over(tmp_path):
    text = "P2: " + " ".join(map(repr, P2.ravel().tolist())) + "\n\nR0_rect: 1 0 0 0 1 0 0 0 1\n"
    (tmp_path / "calib.txt").write_text(text + "Tr: many words\n")
    matrices = read_kitti_calibration(tmp_path / "calib.txt", {"P2": (3, 4), "R0_rect": (3, 3)})
    assert list(matrices) == ["P2", "R0_rect"]
    assert matrices["P2"].tolist() == P2.tolist()
    assert matrices["R0_rect"].tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Q: 1 2 3 4\n", "no line P"),
        ("P: 1 2 3\n", "P is no matrix of 2 x 2 finite numbers"),
        ("P: 1 2 3 nan\n", "P is no matrix of 2 x 2 finite numbers"),
        ("P: 1 2 3 four\n", "could not convert"),
        ("P 1 2 3 4\n", "no line P"),
        ("P: 1 2 3 \udcff\n", "must be a complete calibration file"),
    ],
)
def test_broken_calibrations_name_file_and_rule(tmp_path, text, message):
    (tmp_path / "calib.txt").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"calib\.txt: .*{message}"):
        read_kitti_calibration(tmp_path / "calib.txt", {"P": (2, 2)})


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3).map(np.array))
def test_the_pinhole_sees_what_the_projection_sees(point):
    point = point + np.array([0, 0, 30])  # before the camera
    x, y, z = P2 @ [*point, 1]
    intrinsics, camera_to_reference = pinhole(P2)
    in_camera = transform_points(np.linalg.inv(camera_to_reference), point[None])[0]
    u, v, w = intrinsics @ in_camera
    np.testing.assert_allclose([u / w, v / w], [x / z, y / z], rtol=1e-12)


def test_the_colour_camera_stands_to_the_left_of_camera_0():
    _, camera_to_reference = pinhole(P2)
    assert camera_to_reference[0, 3] == pytest.approx(-(45 - 600 * 0.004) / 700)


@pytest.mark.parametrize(
    "left", [np.ones((3, 3)), np.diag([700, 700, 2.0]), np.diag([-700, 700, 1.0])]
)
def test_other_projections_are_an_error(left):
    with pytest.raises(ValueError, match=r"projection must be K \[I \| t\]"):
        pinhole(np.column_stack([left, np.zeros(3)]))


def test_poses_are_rows_of_twelve_numbers(tmp_path):
    rows = np.arange(24.0).reshape(2, 12)
    text = "\n".join(" ".join(map(str, row)) for row in rows)
    (tmp_path / "poses.txt").write_text(text + "\n\n")
    assert read_kitti_poses(tmp_path / "poses.txt")[1, 1].tolist() == [16, 17, 18, 19]


@pytest.mark.parametrize(
    "text", ["1 2 3\n", "1 2 3 4\n" * 3, "1 " * 11 + "\n" + "1 " * 13, "x " * 12]
)
def test_other_poses_are_an_error(tmp_path, text):
    (tmp_path / "poses.txt").write_text(text)
    with pytest.raises(ValueError, match=r"poses\.txt: must be a complete pose file"):
        read_kitti_poses(tmp_path / "poses.txt")


def test_no_pose_is_no_row(tmp_path):
    (tmp_path / "poses.txt").write_text("")
    assert read_kitti_poses(tmp_path / "poses.txt").shape == (0, 3, 4)
