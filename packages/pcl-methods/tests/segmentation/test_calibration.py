"""Tests of pcl_methods.segmentation.calibration."""

import numpy as np
import pytest
import torch

from pcl_calibration import ClassCalibrationError
from pcl_data import SCANNET20
from pcl_methods.segmentation.calibration import (
    calibration_scores,
    count_points,
    draw_calibration,
    load_table,
    save_table,
)
from pcl_methods.segmentation.inference import Classes

WALL, FLOOR, CHAIR = (SCANNET20.names.index(name) for name in ("wall", "floor", "chair"))
LABELS = np.array([WALL, WALL, FLOOR, -1, CHAIR])
FOUND = Classes(
    np.array([WALL, FLOOR, FLOOR, WALL, CHAIR]), np.array([0.75, 0.5, 1.0, 0.25, 1.0], np.float32)
)


@pytest.fixture
def table() -> ClassCalibrationError:
    table = ClassCalibrationError(SCANNET20.n_classes)
    count_points(table, LABELS, FOUND)
    return table


def test_a_row_is_of_the_labeled_points_that_have_the_class_predicted(table):
    scores = calibration_scores(table, SCANNET20)
    assert scores["calibration"] == [
        {"class": "wall", "points": 1, "accuracy": 1.0, "confidence": 0.75, "error": 0.25},
        {"class": "floor", "points": 2, "accuracy": 0.5, "confidence": 0.75, "error": -0.25},
        {"class": "chair", "points": 1, "accuracy": 1.0, "confidence": 1.0, "error": 0.0},
    ]
    # Bins of a tenth: 0.75 once (right), 0.5 once (wrong), 1 twice (right).
    assert scores["ece"] == pytest.approx((0.25 + 0.5 + 0) / 4)


def test_no_labeled_point_has_no_rows():
    empty = ClassCalibrationError(20)
    count_points(empty, np.full(5, -1), FOUND)
    scores = calibration_scores(empty, SCANNET20)
    assert scores["calibration"] == []
    assert np.isnan(scores["ece"])


def test_a_kept_table_is_the_table(table, tmp_path):
    path = tmp_path / "new" / "table.safetensors"
    save_table(table, path)
    again = load_table(path, SCANNET20.n_classes)
    for name, values in table.state_dict().items():
        assert torch.equal(again.state_dict()[name], values)
    with pytest.raises(ValueError, match="counts of state must have shape"):
        load_table(path, 3)


@pytest.mark.parametrize("each_class", [False, True])
def test_a_diagram_is_a_picture(table, tmp_path, each_class):
    path = tmp_path / "new" / "diagram.png"
    draw_calibration(table, SCANNET20, path, each_class=each_class)
    assert path.read_bytes()[:4] == b"\x89PNG"
