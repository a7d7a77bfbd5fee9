"""Tests of pretrain_cli.budgets."""

import numpy as np
import pytest

from pretrain_cli.budgets import open_budget
from pretrain_cli.config import DataConfig, FinetuneConfig

NAMES = [f"scene{i:02d}" for i in range(20)]


@pytest.mark.parametrize(
    ("word", "features", "name", "count"),
    [
        ("10%", "colors", "lr-10%-seed3", 2),
        ("100%", "colors", "lr-100%-seed3", 20),
        ("20pts", "colors", "la-20pts-seed3", 20),
        ("10%", "intensity", "lidar-10%-random-seed3", 2),
    ],
)
def test_a_word_is_a_budget_with_the_name_of_its_protocol(word, features, name, count):
    data = DataConfig(features=features)
    budget = open_budget(FinetuneConfig(budget=word, budget_seed=3, data=data), NAMES)
    assert budget.name == name
    assert len(budget.scenes) == count


def test_lists_are_read(tmp_path):
    (tmp_path / "few.txt").write_text("scene03\nscene07\n")
    budget = open_budget(FinetuneConfig(budget=str(tmp_path / "few.txt")), NAMES)
    assert budget.scenes == ("scene03", "scene07")
    np.savez(tmp_path / "points.npz", scene01=np.array([4, 2]))
    budget = open_budget(FinetuneConfig(budget=str(tmp_path / "points.npz")), NAMES)
    assert budget.name == "la-2pts-list:points.npz"


def test_other_words_are_rejected():
    with pytest.raises(ValueError, match="budget must be like 5%"):
        open_budget(FinetuneConfig(budget="five"), NAMES)
