"""Tests of pcl_data.preparation."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from pcl_data import S3DIS13, SCANNET20, Scene, preparation
from pcl_data.dataset import Dataset
from pcl_data.datasets import SceneFolder
from pcl_data.datasets.dataset_yaml import read_dataset_yaml, write_dataset_yaml
from pcl_data.preparation import changed_files, prepare, read_manifest


class Worlds(Dataset):
    """Scenes by name; reading is counted, and may fail."""

    def __init__(self, names, label_set=SCANNET20, broken=()):
        self.names, self.label_set, self.broken, self.reads = list(names), label_set, broken, []

    def __getitem__(self, index):
        name = self.names[index]
        self.reads.append(name)
        if name in self.broken:
            raise ValueError(f"{name}.ply is broken")
        points = np.full((3, 3), len(name), np.float32)
        return Scene(name, points, labels=np.array([0, 4, -1]), label_set=self.label_set)


def test_every_scene_is_written_and_the_folder_describes_itself(tmp_path):
    manifest = prepare(Worlds(["a", "08/b"]), tmp_path / "out", split="train")
    assert manifest.keys() == {"a", "08_b"}
    folder = SceneFolder(tmp_path / "out", split="train")
    assert folder.names == ("a", "08_b")
    assert folder.label_set == SCANNET20
    assert folder[1].labels.tolist() == [0, 4, -1]


def test_without_a_split_none_is_listed(tmp_path):
    prepare(Worlds("a"), tmp_path)
    assert read_dataset_yaml(tmp_path / "dataset.yaml").splits == {}


def test_the_manifest_has_the_size_and_hash_of_every_file(tmp_path):
    manifest = prepare(Worlds(["a"]), tmp_path)
    assert manifest == read_manifest(tmp_path)
    files = {path.name: path for path in (tmp_path / "a").iterdir()}
    assert manifest["a"].keys() == files.keys() == {"coord.npy", "segment.npy", "scene.json"}
    for name, (size, digest) in manifest["a"].items():
        content = files[name].read_bytes()
        assert (size, digest) == (len(content), hashlib.sha256(content).hexdigest())


def test_workers_write_the_same_files(tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in "abc":
        (scans / f"{name}.txt").write_text("0 0 0\n1 2 3\n")
    alone = prepare(SceneFolder(scans), tmp_path / "alone")
    assert prepare(SceneFolder(scans), tmp_path / "two", n_workers=2) == alone


def test_what_is_there_is_not_read_again(tmp_path):
    prepare(Worlds("ab"), tmp_path, split="train")
    again = Worlds("abc")
    done = []
    prepare(again, tmp_path, split="val", report=done.append)
    assert again.reads == ["c"]
    assert sorted(done) == ["a", "b", "c"]
    splits = read_dataset_yaml(tmp_path / "dataset.yaml").splits
    assert splits == {"train": ("a", "b"), "val": ("a", "b", "c")}


def test_scenes_before_a_broken_one_stay_and_are_listed(tmp_path):
    with pytest.raises(ValueError, match=r"b\.ply is broken"):
        prepare(Worlds("abc", broken="b"), tmp_path)
    assert read_manifest(tmp_path).keys() == {"a"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a",
        "dataset.yaml",
        "manifest.json",
    ]
    assert prepare(Worlds("abc"), tmp_path).keys() == {"a", "b", "c"}


def test_a_scene_that_is_not_in_the_manifest_is_hashed_and_not_read(tmp_path):
    prepare(Worlds("ab"), tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    del content["scenes"]["b"]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    again = Worlds("ab")
    assert prepare(again, tmp_path).keys() == {"a", "b"}
    assert again.reads == []


def test_a_deleted_scene_is_written_again(tmp_path):
    manifest = prepare(Worlds("ab"), tmp_path)
    shutil.rmtree(tmp_path / "a")
    again = Worlds("ab")
    assert prepare(again, tmp_path) == manifest
    assert again.reads == ["a"]
    assert changed_files(tmp_path) == []


def test_something_else_with_the_name_of_a_scene_is_rejected(tmp_path):
    prepare(Worlds("a"), tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="out must hold no other things called like a scene"):
        prepare(Worlds("ab"), tmp_path)
    assert read_manifest(tmp_path).keys() == {"a"}


def test_another_process_may_write_the_same_scene_and_others_meanwhile(tmp_path):
    class Slow(Worlds):
        def __getitem__(self, index):
            scene = super().__getitem__(index)
            prepare(Worlds(["a", "c"]), tmp_path)
            return scene

    assert prepare(Slow("ab"), tmp_path).keys() == {"a", "b", "c"}
    assert read_manifest(tmp_path).keys() == {"a", "b", "c"}


def test_processes_that_write_the_manifest_at_the_same_moment_lose_no_entry(tmp_path, monkeypatch):
    """The other process reads the manifest before ours is written, and writes it after."""
    real = preparation._replace

    def delayed(path, content):
        if json.loads(content)["scenes"]:  # not the first, empty one
            monkeypatch.setattr(preparation, "_replace", real)
            prepare(Worlds("b"), tmp_path, split="val")  # from its beginning to its end
        real(path, content)

    monkeypatch.setattr(preparation, "_replace", delayed)
    assert prepare(Worlds("a"), tmp_path, split="train").keys() == {"a", "b"}
    assert read_manifest(tmp_path).keys() == {"a", "b"}
    splits = read_dataset_yaml(tmp_path / "dataset.yaml").splits
    assert splits == {"train": ("a",), "val": ("b",)}


def test_a_split_that_another_process_replaced_is_listed_at_the_end(tmp_path):
    class Other(Worlds):
        def __getitem__(self, index):
            (tmp_path / "dataset.yaml").unlink()
            write_dataset_yaml(tmp_path / "dataset.yaml", SCANNET20, {"val": ["b"]})
            return super().__getitem__(index)

    prepare(Other("a"), tmp_path, split="train")
    splits = read_dataset_yaml(tmp_path / "dataset.yaml").splits
    assert splits == {"train": ("a",), "val": ("b",)}


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "room.ply").write_bytes(b"ply")
    with pytest.raises(ValueError, match=r"new, empty or prepared .* which holds room\.ply"):
        prepare(Worlds("ab"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["room.ply"]


def test_what_a_killed_preparation_left_is_removed(tmp_path):
    prepare(Worlds("a"), tmp_path)
    for name in ("a", "b", "manifest.json", "foreign"):
        (tmp_path / f".{name}.{'0' * 32}.tmp").mkdir()
    prepare(Worlds("ab"), tmp_path)
    assert [path.name for path in tmp_path.glob(".*")] == [f".foreign.{'0' * 32}.tmp"]


def test_a_process_whose_temporary_files_are_removed_finds_what_it_was_writing(tmp_path):
    class Removed(Worlds):
        def __getitem__(self, index):
            scene = super().__getitem__(index)
            prepare(Worlds("a"), tmp_path)
            return scene

    assert prepare(Removed("a"), tmp_path).keys() == {"a"}


def test_scenes_of_another_source_are_not_added(tmp_path):
    prepare(Worlds("ab"), tmp_path, source="worlds seed=0")
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(ValueError, match="source must be 'worlds seed=1', got 'worlds seed=0'"):
        prepare(Worlds("bc"), tmp_path, source="worlds seed=1")
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert not (tmp_path / "c").exists()
    assert prepare(Worlds("c"), tmp_path, source="worlds seed=0").keys() == set("abc")


def test_changed_and_missing_files_are_found(tmp_path):
    prepare(Worlds("ab"), tmp_path)
    assert changed_files(tmp_path) == []
    (tmp_path / "a" / "segment.npy").unlink()
    content = bytearray((tmp_path / "b" / "coord.npy").read_bytes())
    content[-1] ^= 1
    (tmp_path / "b" / "coord.npy").write_bytes(bytes(content))
    assert sorted(changed_files(tmp_path)) == ["a/segment.npy", "b/coord.npy"]


def test_two_names_that_become_one_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="names that differ after / became _"):
        prepare(Worlds(["a/b", "a_b"]), tmp_path)


def test_another_label_set_is_rejected(tmp_path):
    prepare(Worlds("a"), tmp_path)
    with pytest.raises(ValueError, match="must be of s3dis13"):
        prepare(Worlds("a", S3DIS13), tmp_path)


BROKEN = ("{", "[]", "{}", "[" * 9999, '{"scenes": {"a": 1}}', '{"scenes": {"a": {"b": 1}}}')
BROKEN += ('{"scenes": {"a": {"b": [1e999, "x"]}}}', '{"scenes": {"a": {"b": [1, 2]}}}')
BROKEN += ('{"scenes": {"a": {"../../b": [1, "x"]}}}', '{"scenes": {"/a": {"b": [1, "x"]}}}')
BROKEN += ('{"scenes": {"a\\u0000": {"b": [1, "x"]}}}',)


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_manifest_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_a_folder_without_manifest_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        changed_files(tmp_path)


def test_data_sets_without_labels_have_no_description(tmp_path):
    class Bare(Worlds):
        def __getitem__(self, index):
            return Scene(self.names[index], np.zeros((1, 3), np.float32))

    prepare(Bare("a", None), tmp_path)
    assert not (tmp_path / "dataset.yaml").exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["scenes"].keys() == {"a"}
