"""Tests of data_cli.opening."""

import numpy as np
import pytest

from data_cli.opening import KINDS, LABEL_SETS, chosen, open_dataset, read_options
from pcl_data import SCANNET20, SCANNET200, Scene, save_scene
from pcl_data.datasets import NuScenes, SceneFolder


@pytest.fixture
def scans(tmp_path):
    for name in ("a", "b", "c"):
        points = np.zeros((2, 3), np.float32)
        save_scene(Scene(name, points, labels=np.array([1, -1])), tmp_path / name)
    return tmp_path


def test_words_become_the_options_of_the_reader(scans):
    dataset = open_dataset(
        scans, "folder", "c,a", ["label_set=scannet20", "max_extent=50.5", "pattern=*"]
    )
    assert isinstance(dataset, SceneFolder)
    assert dataset.names == ("c", "a")
    assert dataset.label_set is SCANNET20
    assert dataset.max_extent == 50.5


def test_every_label_set_has_its_name():
    assert LABEL_SETS["scannet200"] is SCANNET200
    assert len(LABEL_SETS) >= 9


def test_values_are_read_as_yaml():
    options = read_options(NuScenes, ["cameras=true", "n_sweeps=3", "version=v1.0-mini"])
    assert options == {"cameras": True, "n_sweeps": 3, "version": "v1.0-mini"}


@pytest.mark.parametrize(
    ("kind", "split", "options", "message"),
    [
        ("scanet", None, [], r"kind must be one of .*, got 'scanet'; did you mean 'scannet'\?"),
        ("folder", None, ["pattern"], "options must be key=value, got 'pattern'"),
        ("folder", None, ["patern=*"], r"got 'patern'; did you mean 'pattern'\?"),
        ("folder", None, ["label_set=scannet"], r"label_set must be one of nyu40, .*'scannet"),
        ("shards", "train", [], "option must be one of label_set, got 'split'"),
    ],
)
def test_words_that_are_not_known_name_the_nearest(scans, kind, split, options, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(scans, kind, split, options)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"folder", "shards"}))
def test_every_layout_says_what_an_empty_folder_lacks(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match=r"must hold .* missing, from"):
        open_dataset(tmp_path, kind, None, [])


def test_a_known_word_is_itself():
    assert chosen("kind", "waymo", KINDS) == "waymo"
    with pytest.raises(ValueError, match=r"kind must be one of none, got 'x'$"):
        chosen("kind", "x", [])
