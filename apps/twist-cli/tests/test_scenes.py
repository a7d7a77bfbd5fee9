"""Tests of twist_cli.scenes."""

import pytest
from twist_cli.scenes import open_split

from pcl_synth import SyntheticRooms
from twist_cli.config import DataConfig


def test_every_scene_has_one_role(scans):
    split = open_split(DataConfig(root=scans, n_labeled=2, n_validation=1), seed=0)
    roles = [*split.labeled, *split.unlabeled, *split.validation]
    assert sorted(roles) == [f"scene{index}" for index in range(6)]
    assert (len(split.labeled), len(split.validation)) == (2, 1)


def test_held_out_scenes_do_not_depend_on_the_label_budget(scans):
    budgets = [
        open_split(DataConfig(root=scans, n_labeled=n, n_validation=2), seed=3) for n in (1, 3)
    ]
    assert budgets[0].validation == budgets[1].validation
    assert set(budgets[0].labeled) < set(budgets[1].labeled)


def test_patterns_choose_scenes(scans):
    config = DataConfig(root=scans, labeled=("scene[01]",), validation=("scene5",))
    split = open_split(config, seed=0)
    assert split.labeled == ("scene0", "scene1")
    assert split.unlabeled == ("scene2", "scene3", "scene4")


def test_five_labelled_rooms_are_one_of_each_kind(monkeypatch):
    monkeypatch.setattr(SyntheticRooms, "prepare", lambda *args, **kwargs: None)
    split = open_split(DataConfig(n_rooms=20, n_validation=10, n_labeled=5), seed=4)
    kinds = [name.split("_")[2] for name in split.labeled]
    assert sorted(kinds) == ["bathroom", "bedroom", "kitchen", "living", "office"]
    assert sorted(split.validation + split.labeled)[-1] < min(split.unlabeled)
    with pytest.raises(ValueError, match=r"data.labeled must be drawn from at least 5 .* got 4"):
        open_split(DataConfig(n_rooms=14, n_validation=10, n_labeled=5), seed=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labeled": ("room*",)}, r"data.labeled must match .* got room\*"),
        ({"labeled": ("scene5",), "validation": ("scene5",)}, "data.labeled must match"),
        ({"n_labeled": 7}, "data.labeled must be drawn from at least 7 scenes, got 5"),
        ({"max_extent": 1.0}, "max_extent"),
    ],
)
def test_rejects(scans, settings, message):
    config = DataConfig(root=scans, **({"n_validation": 1, "n_labeled": 2} | settings))
    with pytest.raises(ValueError, match=message):
        open_split(config, seed=0).load("scene0")
