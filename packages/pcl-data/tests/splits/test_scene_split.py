"""Tests of pcl_data.splits.scene_split."""

import numpy as np
import pytest

from pcl_data import Scene
from pcl_data.splits import LabelBudget, SceneSplit


def load(name):
    return Scene(name, np.zeros((1, 3), np.float32))


def test_a_scene_without_labels_lists_the_columns_that_may_be_labels():
    budget = LabelBudget("lr-1", ("a",))
    split = SceneSplit("folder:scans", None, ("a",), (), budget, load)
    with pytest.raises(ValueError, match=r"scene a must have labels to learn from, got none$"):
        split.load_labeled("a")
    split = SceneSplit(
        "folder:scans", None, ("a",), (), budget, load, lambda _: ("semanticID", "height")
    )
    with pytest.raises(ValueError, match="got none; not understood in its file: semanticID, hei"):
        split.load_labeled("a")
