"""Tests of pcl_data.datasets.scene_folder."""

import numpy as np
import pytest

from pcl_data import NYU40, S3DIS13, SCANNET20, SCANNET200, Scene, save_scene
from pcl_data.datasets import SceneFolder
from pcl_data.testing import check_dataset


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


YAML = """
name: mine
classes: [{name: floor, id: 2, stuff: true}, {name: bench, id: 7}]
merged: {8: 7}
splits: {val: [c, a]}
"""


@pytest.fixture
def described(tmp_path):
    write(tmp_path / "dataset.yaml", YAML)
    for name in "abc":
        write(tmp_path / f"{name}.txt", "0 0 0 1 2 3 2 1\n1 0 0 1 2 3 8 2\n")
    return tmp_path


def test_a_description_gives_label_set_ids_and_splits(described):
    folder = SceneFolder(described, split="val")
    assert folder.names == ("c", "a")
    assert folder.label_set.names == ("floor", "bench")
    assert folder[0].labels.tolist() == [0, 1]
    assert folder[0].instances.tolist() == [-1, 2]
    assert len(SceneFolder(described)) == 3
    check_dataset(folder)


def test_what_the_caller_gives_goes_before_the_description(described):
    assert SceneFolder(described, label_ids="none")[0].labels is None
    folder = SceneFolder(described, label_set=SCANNET20, split=["b"])
    assert (folder.label_set, folder.label_ids, folder.names) == (SCANNET20, "train", ("b",))
    assert folder[0].labels.tolist() == [2, 8]


def test_a_split_that_is_not_there_is_an_error(described):
    with pytest.raises(ValueError, match=r"split must be one of \['val'\] in .*yaml, got 'train'"):
        SceneFolder(described, split="train")
    for split, shown in ((["a", "z"], r"\['z'\]"), (["a", "a"], r"\['a', 'a'\]"), ([], r"\[\]")):
        with pytest.raises(ValueError, match=f"names of scans, each once, got {shown}"):
            SceneFolder(described, split=split)
    write(described / "dataset.yaml", YAML.replace("merged", "merge"))
    with pytest.raises(ValueError, match=r"dataset\.yaml: .* got 'merge': did you mean 'merged'"):
        SceneFolder(described)


def pointcept(folder, **arrays):
    """A folder as Pointcept's preprocessing writes it."""
    folder.mkdir(parents=True)
    arrays = {"coord": np.eye(3, dtype=np.float32), "color": np.eye(3, dtype=np.uint8)} | arrays
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array))


def test_scannet_of_pointcept_is_read_as_it_is(tmp_path):
    pointcept(
        tmp_path / "train" / "scene0000_00",
        normal=np.eye(3, dtype=np.float32),
        segment20=[0, 4, -1],
        segment200=[0, 9, 3],
        instance=[5, 6, 7],  # walls and unlabeled objects are numbered, too
    )
    pointcept(tmp_path / "test" / "scene0707_00", normal=np.eye(3, dtype=np.float32))
    folder = SceneFolder(tmp_path, label_set=SCANNET20)
    assert folder.names == ("scene0000_00", "scene0707_00")
    assert folder[0].labels.tolist() == [0, 4, -1]
    assert folder[0].instances.tolist() == [-1, 6, -1]
    assert folder[1].labels is None
    check_dataset(folder)
    fine = SceneFolder(tmp_path / "train", label_set=SCANNET200)[0]
    assert fine.labels.tolist() == [0, 9, 3]
    assert fine.instances.tolist() == [-1, 6, 7]
    assert SceneFolder(tmp_path)[0].instances.tolist() == [5, 6, 7]  # no label set, no things
    message = r"must hold segment40\.npy, the labels of nyu40, got segment20\.npy, segment200\.npy"
    with pytest.raises(ValueError, match=message):
        SceneFolder(tmp_path, label_set=NYU40)[0]


def test_s3dis_of_pointcept_is_read_as_it_is(tmp_path):
    for area, n in (("Area_1", 1), ("Area_2", 2)):
        pointcept(
            tmp_path / area / "office_1",
            coord=np.eye(3),  # float64 in older versions
            color=np.full((3, 3), 255.0),
            segment=np.array([[0], [8], [12]], np.int16),
            instance=np.array([[0], [n], [2]], np.int16),
        )
    folder = SceneFolder(tmp_path, label_set=S3DIS13)
    assert folder.names == ("Area_1_office_1", "Area_2_office_1")
    assert folder[1].name == "Area_2_office_1"
    assert folder[1].labels.tolist() == [0, 8, 12]
    assert folder[1].instances.tolist() == [0, 2, -1]  # none of clutter
    assert folder[1].points.dtype == np.float32
    assert folder[1].colors.dtype == np.uint8
    check_dataset(folder)
    assert SceneFolder(tmp_path / "Area_2").names == ("office_1",)
    write(tmp_path / "lobby.txt")
    names = ("Area_1_office_1", "Area_2_office_1", "lobby")
    assert SceneFolder(tmp_path, label_set=S3DIS13).names == names


def test_points_without_a_place_are_left_out_on_request(tmp_path):
    (tmp_path / "a.txt").write_text("0 0 nan\n1 2 3\n")
    with pytest.raises(ValueError, match="drop_invalid=true leaves them out"):
        SceneFolder(tmp_path)[0]
    assert SceneFolder(tmp_path, drop_invalid=True)[0].points.tolist() == [[1, 2, 3]]
