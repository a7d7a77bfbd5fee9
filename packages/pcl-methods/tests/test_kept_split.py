"""Tests of pcl_methods.kept_split."""

import json
import shutil
from pathlib import Path

import pytest

from pcl_data import SCANNET20, save_scene
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_scored, open_split
from pcl_methods.kept_split import check_held_out, check_split, keep_split, read_kept
from pcl_methods.segmentation.testing import make_room
from pcl_methods.settings import DataConfig
from pcl_run.config import Config
from pcl_run.run import Run

NEEDS = SceneNeeds(0.1, "colors", learned=("labels",), scored=("labels",))


@pytest.fixture
def scans(tmp_path) -> Path:
    for index in range(5):
        save_scene(make_room(f"scene{index}", index), tmp_path / "scans" / f"scene{index}")
    return tmp_path / "scans"


def config_of(scans: Path) -> DataConfig:
    options = {"label_set": "scannet20"}
    return DataConfig(root=scans, options=options, n_validation=2, budget="1scenes")


@pytest.fixture
def begun(scans, tmp_path) -> Path:
    """A run folder that keeps its split."""
    split = open_split(config_of(scans))
    run = Run.open(tmp_path / "run", Config())
    keep_split(run, split, check_split(split, NEEDS))
    return run.folder


def test_a_scan_that_is_added_gets_no_role(scans, begun):
    before = open_split(config_of(scans))
    for index in range(5, 12):
        save_scene(make_room(f"scene{index}", index), scans / f"scene{index}")
    kept = read_kept(begun)
    drawn = open_split(config_of(scans))
    with pytest.warns(UserWarning, match="7 scenes of folder:scans are left out, .* began without"):
        split = open_split(config_of(scans), kept=kept)
    roles = [(one.labeled, one.unlabeled, one.validation) for one in (before, split, drawn)]
    assert roles[0] == roles[1] != roles[2]
    check_split(split, NEEDS, kept)


def test_a_scan_that_is_gone_or_another_is_named(scans, begun):
    kept = read_kept(begun)
    split = open_split(config_of(scans), kept=kept)
    shutil.rmtree(scans / split.labeled[0])
    with pytest.raises(ValueError, match=f"began with, got no {split.labeled[0]}"):
        open_split(config_of(scans), kept=kept)
    save_scene(make_room(split.labeled[0], 99), scans / split.labeled[0])
    with pytest.raises(ValueError, match=f"scene {split.labeled[0]} must stay as it was"):
        check_split(open_split(config_of(scans), kept=kept), NEEDS, kept)


def test_other_labels_are_refused(scans, begun):
    config = config_of(scans).model_copy(update={"budget": "2scenes"})
    with pytest.raises(ValueError, match=r"lr-1-seed0 of 1 scenes, got lr-2-seed0 of 2"):
        open_split(config, kept=read_kept(begun))


def test_a_split_is_kept_once(scans, begun):
    before = (begun / "split.json").read_bytes()
    keep_split(Run(begun), open_split(config_of(scans)), {})
    assert (begun / "split.json").read_bytes() == before
    assert read_kept(scans) is None


def test_a_model_is_scored_on_the_scenes_that_its_run_held_out(scans, begun):
    config, kept = config_of(scans), read_kept(begun)
    trained = config.model_dump(mode="json")
    held_out = open_scored(config, trained, SCANNET20, kept).validation
    save_scene(make_room("scene00", 7), scans / "scene00")  # every draw has another order
    with pytest.warns(UserWarning, match="1 scenes of folder:scans are left out"):
        split = open_scored(config, trained, SCANNET20, kept)
    assert split.validation == held_out == kept.validation
    check_held_out(split, NEEDS, kept)
    learned = config.model_copy(update={"validation": kept.training[:1]})
    with pytest.warns(UserWarning, match="1 of 1 scored scenes were learned from"):
        check_held_out(open_scored(learned, trained, SCANNET20, kept), NEEDS, kept)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nul", "[" * 100_000, '{"format": "pcl_methods split 1"}'],
)
def test_a_damaged_split_is_one_error_that_names_the_file(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ValueError, match=r"split.json: must be the split of a run, got"):
        read_kept(tmp_path)


def test_wrong_types_in_a_split_are_an_error(begun):
    path = begun / "split.json"
    values = json.loads(path.read_text())
    for key in ("training", "scenes", "budget"):
        path.write_text(json.dumps({**values, key: 3.5}))
        with pytest.raises(ValueError, match=r"split\.json"):
            read_kept(begun)
