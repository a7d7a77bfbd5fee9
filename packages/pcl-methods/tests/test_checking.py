"""Tests of pcl_methods.checking."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20, Scene, save_scene
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods import checking
from pcl_methods.checking import SceneNeeds, check_range, check_scenes, content_hash
from pcl_methods.data import open_split
from pcl_methods.segmentation.testing import make_room
from pcl_methods.settings import DataConfig

BOTH = ("labels", "instances")
NEEDS = SceneNeeds(0.1, "colors", learned=BOTH, scored=BOTH)


def split_of(**changes: Scene | None) -> SceneSplit:
    """`a` labeled, `b` and `c` unlabeled, `d` held out; some of them changed."""
    scenes = {name: make_room(name, index) for index, name in enumerate("abcd")} | changes

    def load(name: str) -> Scene:
        if scenes[name] is None:
            raise ValueError(f"{name}.ply: must be a complete PLY file")
        return scenes[name]

    budget = LabelBudget("lr-1-named", ("a",))
    return SceneSplit("rooms", SCANNET20, ("a", "b", "c"), ("d",), budget, load)


def without(name: str, *fields: str) -> Scene:
    return replace(make_room(name, 0), **dict.fromkeys(fields))


def test_scenes_that_serve_are_counted():
    facts = check_scenes(split_of(), NEEDS)
    assert list(facts) == ["a", "b", "c", "d"]
    assert facts["a"].n_points == facts["a"].n_annotated == 3100
    assert facts["b"].n_annotated == 0  # its labels may not be learned from
    assert facts["a"].content != facts["b"].content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": without("a", "instances")}, "scene a must have instances to learn from, got none"),
        ({"d": without("d", "labels")}, "scene d must have labels to be scored, got none"),
        ({"b": None}, "b.ply: must be a complete PLY file"),
        ({"c": without("c", "colors")}, "scene c must have colours"),
        ({"b": None, "c": None, "d": None}, r"^b.ply: .* \(and 2 more scenes cannot be used\)$"),
    ],
)
def test_a_scene_of_any_role_that_does_not_serve_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        check_scenes(split_of(**changes), NEEDS)


def test_scenes_need_only_what_their_role_does():
    bare = {name: without(name, "labels", "instances") for name in "bc"}
    check_scenes(split_of(**bare), NEEDS)
    nothing = {name: without(name, "labels", "instances", "colors") for name in "abcd"}
    check_scenes(split_of(**nothing), SceneNeeds(0.1))
    with pytest.raises(ValueError, match="scene a must have camera frames, got none"):
        check_scenes(split_of(), SceneNeeds(frames=True))


def test_labels_that_are_all_unlabeled_are_an_error():
    room = make_room("a", 0)
    none = replace(room, labels=np.full(len(room.points), -1))
    with pytest.raises(ValueError, match=r"got -1 everywhere in 1 \(a\)"):
        check_scenes(split_of(a=none), NEEDS)
    check_scenes(split_of(a=none), SceneNeeds(0.1, "colors"))


def test_an_extent_is_counted_in_voxels_without_wide_gaps():
    def line(stop: float, count: int) -> Scene:
        points = np.zeros((count, 3), np.float32)
        points[:, 1] = np.linspace(0, stop, count)
        return Scene("line", points)

    check_range(line(65_535, 65_536), 1.0)
    with pytest.raises(ValueError, match="scene line must span at most 65536 voxels of 1 m along"):
        check_range(line(65_536, 65_537), 1.0)
    check_range(line(1e7, 3), 1.0)  # two gaps


def test_what_is_known_is_not_opened_again_unless_its_files_changed(tmp_path):
    for index in range(3):
        save_scene(make_room(f"scene{index}", index), tmp_path / f"scene{index}")
    config = DataConfig(root=tmp_path, options={"label_set": "scannet20"}, n_validation=1)
    split = open_split(config)
    facts = check_scenes(split, NEEDS)
    (tmp_path / "scene1" / "coord.npy").touch()
    opened = []

    def load(scenes: object, name: str) -> Scene:
        opened.append(name)
        return make_room(name, int(name[-1]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcl_methods.run_scenes.RunScenes.__call__", load)
        again = check_scenes(split, NEEDS, facts)
        assert opened == ["scene1"]
        assert again["scene1"].content == facts["scene1"].content
        assert again["scene1"].files != facts["scene1"].files
        assert check_scenes(split, NEEDS, again) == again
    room = make_room("scene1", 1)
    np.save(tmp_path / "scene1" / "segment.npy", np.where(room.labels == 1, -1, room.labels))
    with pytest.raises(ValueError, match="scene scene1 must stay as it was when the run began"):
        check_scenes(split, NEEDS, facts)


def test_labels_that_nobody_needs_may_be_broken_and_that_is_said_once(tmp_path):
    for index in range(4):
        room = make_room("x", index)
        labels = room.labels if index == 0 else np.full(len(room.points), 77)
        arrays = {"coord": room.points, "color": room.colors, "segment": labels}
        np.savez(tmp_path / f"scan{index}.npz", **arrays, instance=room.instances)
    options = {"label_set": "scannet20"}
    config = DataConfig(root=tmp_path, options=options, labeled=("scan0",), validation=("scan3",))
    split = open_split(config)
    with pytest.raises(ValueError, match=r"scan3.npz: .*labels must lie in .* got 77"):
        check_scenes(split, NEEDS)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_scenes(replace(split, validation=()), NEEDS)
    (text,) = [str(one.message) for one in said]
    assert text.startswith(f"{tmp_path}/scan1.npz: ")
    assert text.endswith("none are needed (and 1 more scenes like it)")
    with pytest.warns(UserWarning, match="its labels are left out"):
        assert split.load("scan1").labels is None


def test_after_a_while_scenes_are_checked_in_parallel(monkeypatch):
    monkeypatch.setattr(checking, "PATIENCE", -1.0)
    monkeypatch.setattr(checking, "usable_cores", lambda: 1)
    assert set(check_scenes(split_of(), NEEDS)) == set("abcd")


def test_a_hash_is_of_what_is_learned_and_scored():
    room = make_room("a", 0)
    assert content_hash(room) == content_hash(replace(room, name="other", normals=room.points))
    others = [
        replace(room, points=room.points + 1),
        replace(room, instances=None),
        replace(room, labels=room.instances, instances=room.labels),
    ]
    assert len({content_hash(one) for one in [room, *others]}) == 4


def test_columns_that_may_be_the_labels_are_listed():
    split = replace(split_of(a=without("a", "labels")), unread_columns=lambda name: ("semanticID",))
    with pytest.raises(ValueError, match=r"to learn from, got none; not understood .*: semanticID"):
        check_scenes(split, NEEDS)
