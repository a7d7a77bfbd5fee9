"""Tests of pcl_methods.detection.predicting."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20
from pcl_data.export import write_ply
from pcl_data.readers import read_scene
from pcl_methods.detection.box_finder import BoxFinder
from pcl_methods.detection.found_boxes import FoundBoxes
from pcl_methods.detection.predicting import check_extents, edge_points, predict_boxes
from pcl_methods.detection.scene_boxes import scene_boxes
from pcl_methods.segmentation.testing import CHAIR, make_room

ROOM = make_room("room", 0)


class Oracle(BoxFinder):
    """Knows the boxes of the room, the last of them with a low score."""

    def __init__(self):
        object.__setattr__(self, "label_set", SCANNET20)

    def check(self, scene):
        """Any scene will do."""

    def __call__(self, scene):
        boxes = scene_boxes(ROOM, SCANNET20).boxes.astype(float)
        return FoundBoxes(boxes, np.array([0.9, 0.8, 0.5, 0.1]))


@pytest.fixture
def scan(tmp_path):
    write_ply(tmp_path / "room.ply", ROOM.points, colors=ROOM.colors)
    return tmp_path / "room.ply"


def test_boxes_are_written_as_json_cloud_and_page(scan, tmp_path):
    (done,) = predict_boxes([scan], Oracle(), tmp_path / "out")
    assert done.n_boxes == 3
    rows = json.loads((tmp_path / "out" / "room.json").read_text())
    box = scene_boxes(ROOM, SCANNET20).boxes[0]
    assert rows[0]["class"] == "chair"
    assert rows[0]["score"] == 0.9
    np.testing.assert_allclose(rows[0]["center"], box[:3], atol=1e-4)
    np.testing.assert_allclose(rows[0]["size"], box[3:6], atol=1e-4)
    cloud = read_scene(tmp_path / "out" / "room.ply")
    n = len(ROOM.points)
    np.testing.assert_allclose(cloud.points[:n], ROOM.points, atol=1e-6)
    np.testing.assert_array_equal(cloud.colors[:n], ROOM.colors)
    edges = cloud.points[n:]
    assert len(edges) > 900
    assert (cloud.colors[n:] == SCANNET20.colors[CHAIR]).all(axis=1).any()
    page = (tmp_path / "out" / "room.html").read_text()
    assert "boxes alone" in page
    assert "chair" in page


def test_edges_are_those_of_the_turned_box():
    box = np.array([1.0, 2, 3, 4, 2, 1, np.pi / 6, CHAIR])
    points = edge_points(box) - box[:3]
    turn = np.array([[np.cos(-box[6]), -np.sin(-box[6])], [np.sin(-box[6]), np.cos(-box[6])]])
    points[:, :2] = points[:, :2] @ turn.T
    at_face = np.isclose(abs(points), box[3:6] / 2).sum(axis=1)
    assert (at_face >= 2).all()  # an edge lies on two faces
    assert (at_face == 3).sum() == 24  # twelve edges with two ends each


def test_nothing_is_written_over(scan, tmp_path):
    list(predict_boxes([scan], Oracle(), tmp_path / "out"))
    with pytest.raises(ValueError, match=r"room\.json"):
        list(predict_boxes([scan], Oracle(), tmp_path / "out"))
    list(predict_boxes([scan], Oracle(), tmp_path / "out", overwrite=True))


def test_other_units_and_axes_are_told():
    with pytest.warns(UserWarning, match="coordinates must be metres"):
        check_extents(replace(ROOM, points=ROOM.points * 1000))
    with pytest.warns(UserWarning, match="coordinates must be metres"):
        check_extents(replace(ROOM, points=ROOM.points / 100))
    with pytest.warns(UserWarning, match="z must point up"):
        check_extents(replace(ROOM, points=ROOM.points * np.float32([0.1, 0.1, 1])))
    check_extents(ROOM)
