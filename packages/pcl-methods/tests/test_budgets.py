"""Tests of pcl_methods.budgets."""

import numpy as np
import pytest

from pcl_methods.budgets import open_budget
from pcl_methods.settings import DataConfig

NAMES = [f"scene{i:02d}" for i in range(20)]


@pytest.mark.parametrize(
    ("word", "features", "name", "count"),
    [
        ("10%", "colors", "lr-10%-seed3", 2),
        ("100%", "colors", "lr-100%-seed3", 20),
        ("20pts", "colors", "la-20pts-seed3", 20),
        ("4boxes", "colors", "boxes-4-seed3", 20),
        ("10%", "intensity", "lidar-10%-random-seed3", 2),
    ],
)
def test_a_word_is_a_budget_with_the_name_of_its_protocol(word, features, name, count):
    budget = open_budget(DataConfig(features=features, budget=word, budget_seed=3), NAMES)
    assert (budget.name, len(budget.scenes)) == (name, count)


def test_every_so_many_sweeps_or_sequences_are_a_budget():
    names = [f"{sequence:02d}/{sweep:06d}" for sequence in range(4) for sweep in range(5)]
    budget = open_budget(DataConfig(features="intensity", budget="every-10th"), names)
    assert (budget.name, budget.scenes) == ("lidar-10%-every-10th", (names[0], names[10]))
    budget = open_budget(DataConfig(features="intensity", budget="every-2th-sequence"), names)
    assert budget.scenes == tuple(names[5:10] + names[15:20])


def test_listed_points_of_held_out_scenes_are_left_out(tmp_path):
    points = {name: np.array([1]) for name in ("scene01", "scene02", "scene03")}
    np.savez(tmp_path / "points.npz", **points)
    config = DataConfig(budget=str(tmp_path / "points.npz"))
    assert open_budget(config, NAMES[:3], NAMES[3:]).scenes == ("scene01", "scene02")
    with pytest.raises(ValueError, match="must hold given scenes, got 'scene03'"):
        open_budget(config, NAMES[:3])


def test_lists_are_read(tmp_path):
    (tmp_path / "few.txt").write_text("scene03\nscene07\n")
    budget = open_budget(DataConfig(budget=str(tmp_path / "few.txt")), NAMES)
    assert budget.scenes == ("scene03", "scene07")
    np.savez(tmp_path / "points.npz", scene01=np.array([4, 2]))
    budget = open_budget(DataConfig(budget=str(tmp_path / "points.npz")), NAMES)
    assert budget.name == "la-2pts-list:points.npz"
