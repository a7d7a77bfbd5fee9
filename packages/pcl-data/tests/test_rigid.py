"""Tests of pcl_data.rigid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pcl_data.rigid import quaternion_rotation, rigid, transform_points

QUATERNIONS = st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array)
METRES = st.lists(st.floats(-2000, 2000), min_size=3, max_size=3).map(np.array)


@st.composite
def poses(draw):
    quaternion = draw(QUATERNIONS.filter(lambda q: np.linalg.norm(q) > 0.1))
    return rigid(quaternion_rotation(quaternion / np.linalg.norm(quaternion)), draw(METRES))


@given(QUATERNIONS.filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternions_turn_as_those_of_scipy(quaternion):
    quaternion = quaternion / np.linalg.norm(quaternion)
    expected = Rotation.from_quat(quaternion[[1, 2, 3, 0]]).as_matrix()
    np.testing.assert_allclose(quaternion_rotation(quaternion), expected, atol=1e-12)


@given(poses(), st.lists(METRES, min_size=1, max_size=4).map(np.array))
def test_there_and_back_is_the_identity(pose, points):
    back = transform_points(np.linalg.inv(pose), transform_points(pose, points))
    np.testing.assert_allclose(back, points, atol=1e-9)  # metres, at 2 km


@given(poses(), poses(), METRES)
def test_transforms_are_applied_from_the_right(first, second, point):
    expected = transform_points(second, transform_points(first, point[None]))
    np.testing.assert_allclose(transform_points(second @ first, point[None]), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("rotation", "translation", "message"),
    [
        (np.eye(3), [0, np.inf, 0], "a pose must be finite"),
        (np.full((3, 3), np.nan), [0, 0, 0], "a pose must be finite"),
        (np.eye(3) * 1.01, [0, 0, 0], "a pose must have a rotation matrix"),
        (np.diag([1.0, 1.0, -1.0]), [0, 0, 0], "a pose must have a rotation matrix"),
    ],
)
def test_what_is_no_pose_is_an_error(rotation, translation, message):
    with pytest.raises(ValueError, match=message):
        rigid(rotation, np.array(translation, float))


@pytest.mark.parametrize("quaternion", [[0, 0, 0, 0.0], [1, 1, 0, 0.0], [np.nan, 0, 0, 0.0]])
def test_what_is_no_unit_quaternion_is_an_error(quaternion):
    with pytest.raises(ValueError, match="a quaternion must have length 1"):
        quaternion_rotation(np.array(quaternion))


def test_rounded_quaternions_give_exact_rotations():
    turn = quaternion_rotation(np.array([0.7071, 0.7072, 0, 0]))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)


def test_rounded_rotations_are_taken():
    rounded = np.round(Rotation.from_euler("xyz", [0.1, 0.2, 0.3]).as_matrix(), 4)
    assert rigid(rounded, np.zeros(3))[:3, :3].tolist() == rounded.tolist()
