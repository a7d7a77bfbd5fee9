"""Tests of pcl_data.datasets.file_dataset and of the check of all data sets."""

import numpy as np
import pytest

from pcl_data import SCANNET20, Scene
from pcl_data.datasets.file_dataset import FileDataset
from pcl_data.testing import check_dataset


class Numbers(FileDataset):
    title = "Numbers"
    source = "the owner"

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
    dataset = Numbers(root, ["b", "a"], SCANNET20)
    assert [scene.name for scene in dataset] == ["b", "a"]
    assert dataset[-1].name == "a"
    assert dataset.missing_files() == []
    check_dataset(dataset)


def test_missing_files_are_named_once_with_their_source(root):
    (root / "shared.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"must hold Numbers: shared\.txt, c\.npy missing, from the owner"
    ):
        Numbers(root, ["a", "c"], SCANNET20)


def test_a_long_list_of_missing_files_is_cut(root):
    with pytest.raises(FileNotFoundError, match=r"9\.npy and 5 more missing"):
        Numbers(root, [str(i) for i in range(15)], SCANNET20)


def test_the_check_finds_instances_of_stuff(root):
    class Walls(Numbers):
        def read(self, name):
            walls = np.zeros(2, np.int64)
            points = np.zeros((2, 3), np.float32)
            return Scene(name, points, labels=walls, instances=walls, label_set=self.label_set)

    with pytest.raises(AssertionError, match="a has instances of stuff"):
        check_dataset(Walls(root, ["a"], SCANNET20))


def test_the_check_finds_what_cannot_be_sent_to_another_process(root):
    class Local(Numbers):
        pass

    with pytest.raises(AssertionError, match="dataset must go to other processes, got "):
        check_dataset(Local(root, ["a"], SCANNET20))


def test_the_check_finds_a_wrong_name(root):
    class Renamed(Numbers):
        def read(self, name):
            return super().read("b")

    with pytest.raises(AssertionError, match="a must not be called b"):
        check_dataset(Renamed(root, ["a", "b"], SCANNET20))
