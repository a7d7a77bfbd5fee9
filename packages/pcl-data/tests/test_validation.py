"""Tests of pcl_data.validation: each defect is found by its rule, and a sound scene is quiet."""

from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20, Scene
from pcl_data.dataset import Dataset
from pcl_data.datasets import SceneFolder
from pcl_data.validation import validate, validate_scene


class Rooms(list, Dataset):
    """A data set of one room."""

    names = ("room",)
    label_set = SCANNET20


@pytest.fixture(scope="module")
def room() -> Scene:
    """A floor with a wall, two chairs and a table, in noisy colours."""
    rng = np.random.default_rng(0)
    parts = (  # class, instance, lowest corner, size
        ("floor", -1, (0, 0, 0), (4, 3, 0.01)),
        ("wall", -1, (0, 0, 0), (4, 0.01, 2.5)),
        ("chair", 0, (1, 1, 0), (0.5, 0.5, 0.9)),
        ("chair", 1, (3, 1, 0), (0.5, 0.5, 0.9)),
        ("table", 2, (2, 2, 0), (1.2, 0.8, 0.7)),
    )
    counts = (3000, 2000, 300, 300, 400)
    points = [
        rng.uniform(0, size, (count, 3)) + corner
        for (_, _, corner, size), count in zip(parts, counts, strict=True)
    ]
    return Scene(
        "room",
        np.concatenate(points).astype(np.float32),
        colors=rng.integers(40, 220, (sum(counts), 3)).astype(np.uint8),
        labels=np.repeat([SCANNET20.names.index(part[0]) for part in parts], counts),
        instances=np.repeat([part[1] for part in parts], counts),
        label_set=SCANNET20,
    )


@pytest.fixture(scope="module")
def rooms(room) -> Rooms:
    return Rooms([room])


def rules(scene: Scene) -> list[str]:
    return [finding.rule for finding in validate_scene(scene)]


def test_a_sound_scene_has_no_findings(room):
    assert rules(room) == []
    bare = replace(room, labels=None, instances=None, colors=None, label_set=None)
    assert rules(bare) == []


def test_millimetres_are_found(room):
    findings = list(validate_scene(replace(room, points=room.points * 1000)))
    assert findings[0].rule == "units"
    assert findings[0].level == "warning"
    assert "are its units metres?" in findings[0].message
    assert rules(replace(room, points=room.points / 20)) == ["units"]


def test_coordinates_too_large_for_float32_are_found(room):
    assert rules(replace(room, points=room.points + np.float32(20_000)))[0] == "units"


@pytest.mark.parametrize("axes", [[2, 0, 1], [0, 2, 1]])
def test_a_scene_on_its_side_is_found_by_its_ground(room, axes):
    assert rules(replace(room, points=room.points[:, axes])) == ["orientation"]


def test_a_scene_upside_down_is_found_by_its_ground(room):
    assert rules(replace(room, points=room.points * np.float32([1, -1, -1]))) == ["orientation"]


def test_an_echo_below_the_ground_is_no_orientation(room):
    points = np.array(room.points)
    points[np.flatnonzero(room.labels >= 0)[0]] -= [0, 0, 9]
    assert "orientation" not in rules(replace(room, points=points))


def test_few_points_on_a_far_thing_of_a_sweep_are_fine(room):
    instances = np.full(len(room.points), -1)
    instances[0] = 7
    sparse = replace(room, instances=instances)
    assert rules(sparse) == ["instances"]
    assert rules(replace(sparse, intensity=np.zeros(len(room.points), np.float32))) == []


def test_a_scene_without_labels_on_its_side_is_found_by_its_height():
    points = np.random.default_rng(0).uniform(0, [10, 8, 2.5], (500, 3)).astype(np.float32)
    assert rules(Scene("a", points)) == []
    assert rules(Scene("a", points[:, [1, 2, 0]] * np.float32([0.5, 1, 1]))) == ["orientation"]


def test_colours_that_are_none_are_found(room):
    assert rules(replace(room, colors=np.zeros_like(room.colors))) == ["colours"]
    assert rules(replace(room, colors=room.colors // 128)) == ["colours"]


def test_labels_that_say_nothing_are_found(room):
    nothing = np.full_like(room.labels, -1)
    assert rules(replace(room, labels=nothing, instances=None)) == ["labels"]
    assert rules(replace(room, label_set=None)) == ["labels"]


def test_instances_that_hold_two_labels_or_hardly_a_point_are_found(room):
    chair = SCANNET20.names.index("chair")
    first = int(np.flatnonzero(room.instances >= 0)[0])
    labels = np.array(room.labels)
    labels[first] = chair if labels[first] != chair else chair + 1
    assert rules(replace(room, labels=labels)) == ["instances"]
    instances = np.array(room.instances)
    instances[first] = 10_000
    findings = list(validate_scene(replace(room, instances=instances)))
    assert [finding.rule for finding in findings] == ["instances"]
    assert "1 instances have fewer than 10 points, 10000 first" in findings[0].message


def test_points_that_repeat_are_found(room):
    points = np.array(room.points)
    points[::2] = points[1 : len(points) : 2][: len(points[::2])].copy()[: len(points[::2])]
    assert rules(replace(room, points=points)) == ["duplicates"]


def test_what_cannot_be_read_is_an_error_and_the_rest_is_still_checked(tmp_path):
    (tmp_path / "a.txt").write_text("0 0 nan\n1 1 1\n")
    (tmp_path / "b.txt").write_text("0 0 0 255 0 0 77\n1 1 1 0 0 255 0\n")
    (tmp_path / "c.txt").write_text("x y z r g b label\n0 0 0 -3 0 0 0\n1 1 1 0 0 0 0\n")
    (tmp_path / "d.txt").write_text("0 0 0 255 0 0 4\n1 1 1 0 0 255 4\n")
    findings = list(validate(SceneFolder(tmp_path, label_set=SCANNET20)))
    errors = {f.scene: f.message for f in findings if f.level == "error"}
    assert set(errors) == {"a", "b", "c"}
    assert "points must be finite" in errors["a"]
    assert "labels must lie in [-1, 20) of scannet20, got 77" in errors["b"]
    assert "colors must lie in [0, 1]" in errors["c"]


def test_classes_without_a_point_are_found_in_the_data_set_alone(rooms):
    findings = list(validate(rooms))
    assert [(f.level, f.scene, f.rule) for f in findings] == [("warning", "", "classes")]
    present = {SCANNET20.names[label] for label in np.unique(rooms[0].labels) if label >= 0}
    for name in SCANNET20.names:
        listed = name in findings[0].message.removeprefix("no point of ").split(" in any")[0].split(
            ", "
        )
        assert listed == (name not in present)


def test_scenes_without_labels_among_others_are_counted(room):
    class Two(list, Dataset):
        names = ("a", "b")
        label_set = None

    bare = replace(room, labels=None, instances=None)
    (finding,) = validate(Two([room, bare]))
    assert (finding.level, finding.scene, finding.rule) == ("warning", "", "labels")
    assert finding.message == "1 of 2 scenes have no labels, b the first"
    assert list(validate(Two([bare, bare]))) == []
    assert list(validate(Two([room, room]))) == []


def test_a_file_that_may_not_be_read_is_an_error_of_its_scene():
    class Locked(list, Dataset):
        names = ("a",)
        label_set = None

        def __getitem__(self, index):
            raise PermissionError(13, "Permission denied", "a.ply")

    (finding,) = validate(Locked([None]))
    assert (finding.level, finding.scene, finding.rule) == ("error", "a", "read")
