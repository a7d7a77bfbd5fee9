"""Tests of pretrain_cli.worlds."""

import pytest

from pretrain_cli.config import DataConfig
from pretrain_cli.worlds import open_labeled_world, open_world


def folder(scans, **settings) -> DataConfig:
    options = ("label_set=scannet20",)
    return DataConfig(kind="folder", root=scans, options=options, **settings)


def test_scenes_that_match_are_held_out(scans):
    world = open_world(folder(scans, validation=("scene[01]",)))
    assert world.validation == ("scene0", "scene1")
    assert world.training == ("scene2", "scene3", "scene4", "scene5")
    assert world.load("scene3").name == "scene3"


def test_the_validation_split_is_another_data_set(scans):
    world = open_world(folder(scans, split="scene0,scene1", validation_split="scene5,"))
    assert world.training == ("scene0", "scene1")
    assert world.validation == ("scene5",)
    assert world.load("scene5").name == "scene5"


def test_whole_sequences_of_streets_are_held_out(monkeypatch):
    from pcl_synth import SyntheticStreets

    monkeypatch.setattr(SyntheticStreets, "prepare", lambda self, n_workers: None)
    world = open_world(DataConfig(kind="streets", n_scenes=4, n_validation=1, n_sweeps=3))
    assert {name.split("/")[0] for name in world.validation} == {"street_0000"}
    assert world.validation == tuple(f"street_0000/{tick:06d}" for tick in (0, 10, 20))
    assert "street_0000" not in {name.split("/")[0] for name in world.training}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": ("kitchen*",)}, "data.validation must match scenes, got kitchen"),
        ({"validation": ("*",)}, "data must leave scenes to learn from, got all 6 held out"),
    ],
)
def test_wrong_roles_are_rejected(scans, settings, message):
    with pytest.raises(ValueError, match=message):
        open_world(folder(scans, **settings))


def test_roots_are_given_where_they_must_be(scans):
    with pytest.raises(ValueError, match=r"data.root must name the folder of folder, got none"):
        open_world(DataConfig(kind="folder"))
    with pytest.raises(ValueError, match=r"data.root must not be given with rooms"):
        open_world(DataConfig(root=scans))


def test_scores_need_scenes_held_out_and_labels(scans):
    with pytest.raises(ValueError, match=r"data\.validation must name held-out scenes"):
        open_labeled_world(folder(scans))
