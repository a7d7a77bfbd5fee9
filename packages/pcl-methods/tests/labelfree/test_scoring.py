import math
from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20
from pcl_methods.labelfree.scoring import score_classes
from pcl_methods.segmentation.testing import CHAIR, FLOOR, TABLE, make_room


def test_the_foreground_leaves_walls_and_floors_out():
    room = make_room("room", 0)

    def find(scene):
        labels = scene.labels.copy()
        labels[labels == TABLE] = CHAIR  # every table is taken for a chair
        return labels

    found = score_classes([room], find, SCANNET20)
    chairs = (room.labels == CHAIR).sum() / (room.labels != FLOOR).sum()
    assert found["miou"] == pytest.approx((1 + chairs + 0) / 3)
    assert found["f_miou"] == pytest.approx((chairs + 0) / 2)
    assert found["f_protocol"].endswith("/foreground")


def test_no_foreground_has_no_score():
    room = make_room("room", 0)
    floor = replace(room, labels=np.full_like(room.labels, FLOOR))
    assert math.isnan(score_classes([floor], lambda scene: scene.labels, SCANNET20)["f_miou"])


def test_scenes_without_labels_are_refused():
    room = replace(make_room("room", 0), labels=None)
    with pytest.raises(ValueError, match="scene room must have labels to be scored, got none"):
        score_classes([room], lambda scene: scene.labels, SCANNET20)
