"""Tests of pcl_methods.detection.scoring."""

import numpy as np
import pytest

from pcl_data import SCANNET20
from pcl_methods.detection.found_boxes import FoundBoxes
from pcl_methods.detection.scene_boxes import scene_boxes
from pcl_methods.detection.scoring import BOX_SCORES, score_boxes
from pcl_methods.segmentation.testing import make_room

ROOMS = [make_room(f"room{i}", i) for i in range(3)]


def true_boxes(scene):
    boxes = scene_boxes(scene, SCANNET20).boxes.astype(float)
    return FoundBoxes(boxes, np.ones(len(boxes)))


def test_true_boxes_have_full_scores():
    found = score_boxes(ROOMS, true_boxes, SCANNET20)
    assert [found[name] for name in BOX_SCORES] == [1.0] * 4
    assert found["per_class"]["chair"] == 1.0
    assert np.isnan(found["per_class"]["sofa"])
    assert found["protocol"] == "scannet20/boxes/no-tta"


def test_boxes_of_one_scene_are_no_boxes_of_another():
    found = score_boxes(ROOMS, lambda scene: true_boxes(ROOMS[0]), SCANNET20)
    assert 0 < found["map50"] < 1
    nothing = FoundBoxes(np.zeros((0, 8)), np.zeros(0))
    assert score_boxes(ROOMS, lambda scene: nothing, SCANNET20)["map25"] == pytest.approx(0)
