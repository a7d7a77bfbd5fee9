"""Tests of pcl_data.datasets.file_dataset and of the check of all data sets."""

import numpy as np
import pytest

from pcl_data import S3DIS13, SCANNET20, Scene
from pcl_data.datasets.file_dataset import FileDataset, MissingFilesError, visible
from pcl_data.file_errors import NeedsOption
from pcl_data.testing import check_dataset


class Numbers(FileDataset):
    title = "Numbers"
    source = "the owner"
    splits = ("first",)
    label_sets = (SCANNET20,)
    name_form = "[a-z]|[0-9]+"

    def split_names(self, split):
        return [path.stem for path in self.listed([self.root], "a.npy")]

    def every_name(self):
        return [path.stem for path in visible(self.root, "*.npy")]

    def group_of(self, name):
        return "vowels" if name in "aeiou" else "others"

    def files(self, name):
        return (self.root / f"{name}.npy", self.root / "shared.txt")

    def read(self, name):
        points = np.load(self.root / f"{name}.npy")
        labels = np.full(len(points), 4)
        return Scene(name, points, labels=labels, instances=labels, label_set=self.label_set)


@pytest.fixture
def root(tmp_path):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.zeros((2, 3), np.float32))
    (tmp_path / "shared.txt").touch()
    return tmp_path


def test_scenes_are_read_by_index(root):
    dataset = Numbers(root, ["b", "a"])
    assert [scene.name for scene in dataset] == ["b", "a"]
    assert dataset[-1].name == "a"
    assert dataset.missing_files() == []
    check_dataset(dataset)


def test_missing_files_are_named_once_with_their_source(root):
    (root / "shared.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"must hold Numbers: shared\.txt, c\.npy missing, from the owner"
    ):
        Numbers(root, ["a", "c"])


def test_a_long_list_of_missing_files_is_cut(root):
    with pytest.raises(FileNotFoundError, match=r"9\.npy and 5 more missing"):
        Numbers(root, [str(i) for i in range(15)])


def test_a_split_is_a_word_of_any_kind_or_several(root):
    np.save(root / "c.npy", np.zeros((2, 3), np.float32))
    for split, names in {
        "first": "a",
        "b": "b",
        "vowels": "a",
        "others": "bc",
        "[bc]": "bc",
        "*": "abc",
    }.items():
        assert "".join(Numbers(root, split).names) == names
    assert Numbers(root, ["others", "*", "first"]).names == ("b", "c", "a")


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("frist", "one of first, a group such as others, .* got 'frist'; did you mean 'first'"),
        ("z*", "or a pattern, got 'z\\*'"),
        (["a", "a"], r"split must hold names, each once, got \['a'\]"),
        ([], r"split must hold names, each once, got \[\]"),
    ],
)
def test_a_split_that_names_nothing_is_an_error(root, split, message):
    with pytest.raises(ValueError, match=message):
        Numbers(root, split)


def test_a_pattern_restricts_a_split(root):
    assert Numbers(root, "*", pattern="[!a]").names == ("b",)
    with pytest.raises(ValueError, match="pattern must match one of 2 scenes, a the first, got"):
        Numbers(root, "*", pattern="z*")


def test_hidden_files_are_no_data(root):
    (root / "._a.npy").write_bytes(b"\0\5\x16\7Mac OS X")
    assert Numbers(root, "*").names == ("a", "b")


def test_incomplete_scenes_name_the_option_that_leaves_them_out(root):
    with pytest.raises(
        MissingFilesError,
        match=r"c\.npy missing, from the owner; 1 of 3 scenes are not complete; missing=skip le",
    ) as error:
        Numbers(root, ["a", "c", "b"])
    assert isinstance(error.value, FileNotFoundError)
    assert "data.options.missing=skip" in error.value.given_as("data.options.{}")


def test_incomplete_scenes_are_left_out_and_counted_once(root):
    with pytest.warns(UserWarning, match="left out") as said:
        dataset = Numbers(root, ["c", "a", "b", *map(str, range(2000))], missing="skip")
    assert dataset.names == ("a", "b")
    assert len(dataset) == 2
    (message,) = {str(warning.message) for warning in said}
    assert "left out 2,001 of 2,003 scenes (c, 0, 1 and 1,998 more): c.npy" in message


def test_nothing_is_left_out_where_nothing_is_complete(root):
    with pytest.raises(FileNotFoundError, match=r"c\.npy missing, from the owner$"):
        Numbers(root, "c", missing="skip")


def test_links_to_nowhere_are_missing_files(root):
    (root / "c.npy").symlink_to(root / "nowhere.npy")
    with pytest.raises(MissingFilesError, match=r"c\.npy missing.* 1 of 3 scenes"):
        Numbers(root, "*")


def test_labels_are_left_out_on_request(root):
    assert Numbers(root, "a")[0].labels.tolist() == [4, 4]
    scene = Numbers(root, "a", label_ids="none")[0]
    assert (scene.labels, scene.instances) == (None, None)


def test_a_larger_scene_than_is_believed_names_the_option(root):
    np.save(root / "a.npy", np.array([[0, 0, 0], [0, 250.4, 0]], np.float32))
    assert len(Numbers(root, "a", max_extent=251.0)[0].points) == 2
    with pytest.raises(
        NeedsOption,
        match=r"a spans 250\.4 m, more than max_extent=200: .*; max_extent=251 takes it",
    ):
        Numbers(root, "a", max_extent=200.0)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_set": S3DIS13}, "label_set of Numbers must be scannet20, got s3dis13"),
        ({"max_extent": -1.0}, "max_extent must be positive, got -1"),
    ],
)
def test_options_are_checked(root, options, message):
    with pytest.raises(ValueError, match=message):
        Numbers(root, "a", **options)


def test_the_check_finds_instances_of_stuff(root):
    class Walls(Numbers):
        def read(self, name):
            walls = np.zeros(2, np.int64)
            points = np.zeros((2, 3), np.float32)
            return Scene(name, points, labels=walls, instances=walls, label_set=self.label_set)

    with pytest.raises(AssertionError, match="a has instances of stuff"):
        check_dataset(Walls(root, ["a"]))


def test_the_check_finds_what_cannot_be_sent_to_another_process(root):
    class Local(Numbers):
        pass

    with pytest.raises(AssertionError, match="dataset must go to other processes, got "):
        check_dataset(Local(root, ["a"]))


def test_the_check_finds_a_wrong_name(root):
    class Renamed(Numbers):
        def read(self, name):
            return super().read("b")

    with pytest.raises(AssertionError, match="a must not be called b"):
        check_dataset(Renamed(root, ["a", "b"]))
