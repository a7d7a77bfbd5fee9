"""Tests of pcl_methods.detection.scene_boxes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import SCANNET20
from pcl_data.evaluation.box_overlap import box_iou
from pcl_methods.detection.scene_boxes import limited_objects, moved_boxes, scene_boxes
from pcl_methods.segmentation.testing import CHAIR, TABLE, make_room


@pytest.fixture
def room():
    return make_room("room", 0)


def test_boxes_are_around_the_instances_of_things(room):
    found = scene_boxes(room, SCANNET20)
    assert len(found.boxes) == 4
    for number, box in enumerate(found.boxes):
        inside = room.points[room.instances == number]
        low, high = inside.min(axis=0), inside.max(axis=0)
        np.testing.assert_allclose(box[:3], (low + high) / 2, atol=1e-6)
        np.testing.assert_allclose(box[3:6], high - low, atol=1e-6)
        assert box[6] == 0
        assert box[7] == room.labels[room.instances == number][0]
    np.testing.assert_array_equal(found.of_point, room.instances)


def test_an_instance_has_its_commonest_label_and_one_of_stuff_has_no_box(room):
    labels = room.labels.copy()
    first, second = (np.flatnonzero(room.instances == i) for i in (0, 1))
    labels[first[:100]] = 7
    labels[first[100:150]] = -1
    labels[second] = SCANNET20.names.index("wall")
    found = scene_boxes(replace(room, labels=labels), SCANNET20)
    assert found.boxes[:, 7].tolist() == [CHAIR, CHAIR, TABLE]
    assert (found.of_point[second] == -1).all()
    assert (found.of_point[first[100:150]] == -1).all()  # without a label: of no object


def test_without_instances_the_boxes_are_those_of_the_scene(room):
    wall, chair = ([0.0, 0, 0, 1, 1, 1, 0.3, label] for label in (0, CHAIR))
    boxes = np.array([wall, chair], np.float32)
    found = scene_boxes(replace(room, labels=None, instances=None, boxes=boxes), SCANNET20)
    np.testing.assert_array_equal(found.boxes, boxes[1:])
    assert found.of_point is None


def test_a_scene_without_objects_has_no_box(room):
    nothing = replace(room, instances=np.full_like(room.instances, -1))
    assert scene_boxes(nothing, SCANNET20).boxes.shape == (0, 8)


def test_a_scene_that_says_nothing_is_refused(room):
    with pytest.raises(ValueError, match="scene room must have boxes, or labels and instances"):
        scene_boxes(replace(room, instances=None), SCANNET20)


@pytest.mark.parametrize(("column", "value"), [(3, 0.0), (5, -1.0), (6, np.nan), (0, np.inf)])
def test_boxes_that_are_none_are_refused(room, column, value):
    boxes = np.array([[0.0, 0, 0, 1, 1, 1, 0, CHAIR]] * 2, np.float32)
    boxes[1, column] = value
    bare = replace(room, labels=None, instances=None)
    object.__setattr__(bare, "boxes", boxes)  # a Scene itself may refuse some
    with pytest.raises(ValueError, match=r"boxes of scene room must have finite .* in row 1"):
        scene_boxes(bare, SCANNET20)


def test_some_objects_of_a_room_are_kept_whole(room):
    found = limited_objects(room, 2, seed=1)
    assert len(found.boxes) == 2
    kept = np.unique(found.instances[found.instances >= 0])
    assert len(kept) == 2
    np.testing.assert_array_equal(found.instances >= 0, np.isin(room.instances, kept))
    np.testing.assert_array_equal(found.labels >= 0, found.instances >= 0)
    assert len(limited_objects(room, 9).boxes) == 4
    again = limited_objects(replace(room, boxes=scene_boxes(room, SCANNET20).boxes), 2, seed=1)
    np.testing.assert_array_equal(again.boxes, found.boxes)
    with pytest.raises(ValueError, match="scene room must have boxes to be limited to some"):
        limited_objects(replace(room, label_set=None), 2)


@given(
    st.floats(-np.pi, np.pi),
    st.floats(-np.pi, np.pi),
    st.floats(0.5, 2),
    st.sampled_from([-1, 1]),
)
def test_corners_of_a_box_move_as_points_do(heading, angle, scale, sign):
    box = np.array([[0.5, -1, 0.2, 1.5, 0.7, 0.4, heading, 3]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn @ np.diag([sign, 1])
    matrix *= scale
    found = moved_boxes(box, matrix, oriented=True)
    corners = _corners(box[0]) @ matrix.T
    np.testing.assert_allclose(_in_order(_corners(found[0])), _in_order(corners), atol=1e-9)
    around = moved_boxes(box, matrix, oriented=False)[0]
    np.testing.assert_allclose(around[:3] - around[3:6] / 2, corners.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(around[:3] + around[3:6] / 2, corners.max(axis=0), atol=1e-9)
    assert box_iou(found, found)[0, 0] == pytest.approx(1)
    assert found[0, 7] == around[7] == 3


def _corners(box):
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    cosine, sine = np.cos(box[6]), np.sin(box[6])
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return box[:3] + (signs * box[3:6]) @ turn.T


def _in_order(corners):
    rounded = corners.round(6) + 0.0
    return corners[np.lexsort(rounded.T)]
