"""Tests of pcl_data.datasets.scene_folder."""

import numpy as np
import pytest

from pcl_data import SCANNET20, Scene, save_scene
from pcl_data.datasets import SceneFolder


def write(path, text="0 0 0\n1 2 3\n"):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_scans_of_any_kind_come_sorted_by_name(tmp_path):
    write(tmp_path / "c.xyz")
    write(tmp_path / "area" / "b.csv", "0,0,0\n")
    save_scene(Scene("x", np.zeros((3, 3), np.float32)), tmp_path / "a")
    save_scene(Scene("y", np.zeros((4, 3), np.float32)), tmp_path / "area" / "d")
    write(tmp_path / ".hidden.txt")
    write(tmp_path / "notes.md")
    folder = SceneFolder(tmp_path)
    assert folder.names == ("a", "b", "c", "d")
    assert [(scene.name, len(scene.points)) for scene in folder] == [
        ("a", 3),
        ("b", 1),
        ("c", 2),
        ("d", 4),
    ]
    assert len(folder) == 4
    assert folder[-1].name == "d"
    assert folder.path("b") == tmp_path / "area" / "b.csv"


def test_scans_two_levels_down_are_not_taken(tmp_path):
    write(tmp_path / "a.txt")
    (tmp_path / "x" / "y").mkdir(parents=True)
    write(tmp_path / "x" / "y" / "b.txt")
    assert SceneFolder(tmp_path).names == ("a",)


def test_a_single_scan_is_a_folder_of_one(tmp_path):
    save_scene(Scene("x", np.zeros((3, 3), np.float32)), tmp_path / "a")
    assert SceneFolder(write(tmp_path / "c.xyz")).names == ("c",)
    assert SceneFolder(tmp_path / "a").names == ("a",)


def test_the_pattern_selects_file_names(tmp_path):
    for name in ("a.ply", "a.labels.ply", "b.txt"):
        write(tmp_path / name)
    assert SceneFolder(tmp_path, pattern="*.labels.ply").names == ("a.labels",)
    with pytest.raises(ValueError, match=r"root must hold scans \(\.ply .* match '\*\.las'"):
        SceneFolder(tmp_path, pattern="*.las")


def test_two_scans_of_one_name_are_an_error(tmp_path):
    write(tmp_path / "a.txt")
    write(tmp_path / "x" / "a.xyz")
    with pytest.raises(ValueError, match=r"one scan of a name, got .*a\.txt and .*a\.xyz"):
        SceneFolder(tmp_path)


def test_labels_are_mapped(tmp_path):
    write(tmp_path / "a.txt", "0 0 0 1 2 3 5 7\n1 0 0 1 2 3 1 8\n")
    scene = SceneFolder(tmp_path, label_set=SCANNET20, label_ids="raw")[0]
    assert scene.labels.tolist() == [4, 0]
    assert scene.instances.tolist() == [7, -1]


def test_millimetres_are_noticed(tmp_path):
    write(tmp_path / "a.txt", "0 0 0\n0 5000 0\n")
    assert len(SceneFolder(tmp_path)[0].points) == 2
    assert len(SceneFolder(tmp_path, max_extent=5000.0)[0].points) == 2
    message = r"a\.txt spans 5000 m, more than max_extent=100 m: are the units metres\?"
    with pytest.raises(ValueError, match=message):
        SceneFolder(tmp_path, max_extent=100.0)[0]


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=f"root must hold scans .*, got {tmp_path}"):
        SceneFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="root must exist"):
        SceneFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="root must hold scans"):
        SceneFolder(write(tmp_path / "notes.md"))
    with pytest.raises(ValueError, match=r"max_extent must be positive, got 0\.0"):
        SceneFolder(tmp_path, max_extent=0.0)
    with pytest.raises(KeyError):
        SceneFolder(write(tmp_path / "a.txt")).path("b")


@pytest.mark.real
def test_reads_the_scans_of_scannet(real_data):
    folder = SceneFolder(real_data / "scannet" / "points50k", label_set=SCANNET20, max_extent=50.0)
    assert len(folder) == 17
    assert folder[0].name == "scene0000_00"
    assert folder[0].label_set is SCANNET20
