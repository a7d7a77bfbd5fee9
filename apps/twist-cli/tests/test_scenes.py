"""Tests of twist_cli.scenes."""

import numpy as np
import pytest

from pcl_data.export import write_ply
from pcl_synth import SyntheticRooms
from twist_cli.config import DataConfig
from twist_cli.scenes import open_split


def test_every_scene_has_one_role(scans):
    split = open_split(DataConfig(root=scans, n_labeled=2, n_validation=1), seed=0)
    roles = [*split.labeled, *split.unlabeled, *split.validation]
    assert sorted(roles) == [f"scene{index}" for index in range(6)]
    assert (len(split.labeled), len(split.validation)) == (2, 1)
    assert (split.budget.name, split.data) == ("lr-2-seed0", f"folder:{scans.name}")


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


def test_five_labeled_rooms_are_one_of_each_kind(monkeypatch):
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


def test_scenes_that_are_learned_from_or_scored_need_instances(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(4):
        points = rng.uniform(0, 2, (50, 3)).astype(np.float32)
        write_ply(tmp_path / f"scene{index}.ply", points, labels=np.full(50, 4))
    config = DataConfig(root=tmp_path, labeled=("scene0",), validation=("scene3",))
    split = open_split(config, seed=0)
    assert split.load("scene1").instances is None
    for name in ("scene0", "scene3"):
        with pytest.raises(ValueError, match=f"scene {name} must have labels and instances"):
            split.load(name)
