"""Tests of pcl_data.opening."""

import numpy as np
import pytest

from pcl_data import SCANNET20, SCANNET200, Scene, save_scene
from pcl_data.datasets import NuScenes, SceneFolder, SevenScenes
from pcl_data.opening import (
    HELD_OUT,
    KINDS,
    LABEL_SETS,
    chosen,
    open_dataset,
    read_options,
    read_words,
)


@pytest.fixture
def scans(tmp_path):
    for name in ("a", "b", "c"):
        points = np.zeros((2, 3), np.float32)
        save_scene(Scene(name, points, labels=np.array([1, -1])), tmp_path / name)
    return tmp_path


def test_words_become_the_options_of_the_reader(scans):
    dataset = open_dataset(
        scans, "folder", "c,a", {"label_set": "scannet20", "max_extent": "50.5", "pattern": "*"}
    )
    assert isinstance(dataset, SceneFolder)
    assert dataset.names == ("c", "a")
    assert dataset.label_set is SCANNET20
    assert dataset.max_extent == 50.5


def test_every_label_set_has_its_name():
    assert LABEL_SETS["scannet200"] is SCANNET200
    assert len(LABEL_SETS) >= 9


def test_values_are_read_as_yaml():
    words = read_words(["cameras=true", "n_sweeps=3", "version=v1.0-mini"])
    options = read_options(NuScenes, words)
    assert options == read_options(
        NuScenes, {"cameras": True, "n_sweeps": 3} | {"version": "v1.0-mini"}
    )
    assert options == {"cameras": True, "n_sweeps": 3, "version": "v1.0-mini"}


@pytest.mark.parametrize(
    ("kind", "split", "options", "message"),
    [
        ("scanet", None, [], r"kind must be one of .*, got 'scanet'; did you mean 'scannet'\?"),
        ("folder", None, ["pattern"], "options must be key=value, got 'pattern'"),
        ("folder", None, ["patern=*"], r"got 'patern'; did you mean 'pattern'\?"),
        ("folder", None, ["label_set=scannet"], r"label_set must be one of nyu40, .*'scannet"),
        ("scannet", None, ["mising=skip"], r"one of .*, got 'mising'; did you mean 'missing'\?"),
        ("waymo", None, ["columns={}"], "option must be one of .*label_set.*, got 'columns'"),
    ],
)
def test_words_that_are_not_known_name_the_nearest(scans, kind, split, options, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(scans, kind, split, read_words(options))


@pytest.mark.parametrize(
    ("reader", "word", "value"),
    [
        (SceneFolder, "split=08", "08"),
        (SceneFolder, "pattern=1", "1"),
        (SceneFolder, "split=[a, b]", ["a", "b"]),
        (SceneFolder, "max_extent=50", 50.0),
        (SceneFolder, "max_extent=null", None),
        (SceneFolder, "label_ids=raw", "raw"),
        (SceneFolder, "columns={label: semanticID}", {"label": "semanticID"}),
        (SceneFolder, f"pattern={'[' * 2000}", "[" * 2000),
        (SceneFolder, "pattern=2024-13-45", "2024-13-45"),
        (SevenScenes, "missing=skip", "skip"),
        (SevenScenes, "frame_step=5", 5),
    ],
)
def test_a_value_has_the_type_of_its_option(reader, word, value):
    (read,) = read_options(reader, read_words([word])).values()
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("reader", "word", "message"),
    [
        (SceneFolder, "max_extent=far", "max_extent must be of type float, got 'far'"),
        (SceneFolder, "max_extent=true", "max_extent must be of type float, got 'true'"),
        (SceneFolder, "split={a: 1}", "split must be of type str or Sequence, got '{a: 1}'"),
        (NuScenes, "n_sweeps=1.5", "n_sweeps must be of type int, got '1.5'"),
        (NuScenes, "n_sweeps=true", "n_sweeps must be of type int, got 'true'"),
        (NuScenes, "cameras=1", "cameras must be of type bool, got '1'"),
    ],
)
def test_a_value_of_another_type_is_named(reader, word, message):
    with pytest.raises(ValueError, match=message):
        read_options(reader, read_words([word]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_takes_the_same_options(kind):
    common = ["label_ids=none", "label_set=nyu40", "max_extent=50", "pattern=a*", "split=a"]
    if kind != "shards":
        common += ["missing=skip"]
    assert len(read_options(KINDS[kind], read_words(common))) == len(common)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"folder", "shards"}))
def test_every_layout_says_what_an_empty_folder_lacks(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match=r"must hold .* missing, from"):
        open_dataset(tmp_path, kind)


def test_a_known_word_is_itself():
    assert chosen("kind", "waymo", KINDS) == "waymo"
    with pytest.raises(ValueError, match=r"kind must be one of none, got 'x'$"):
        chosen("kind", "x", [])


def test_the_split_that_is_scored_is_one_of_the_data_set():
    assert set(HELD_OUT) == set(KINDS) - {"folder", "shards", "frames"}
