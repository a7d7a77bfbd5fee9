from pathlib import Path

import numpy as np
import pytest

from pcl_methods.scene_arrays import read_arrays, scene_file


@pytest.mark.parametrize("name", ["../room", "a//b", ".room", "a\\b", ""])
def test_names_stay_in_the_folder(name):
    with pytest.raises(ValueError, match="name must be a path below labels"):
        scene_file(Path("labels"), name)


def test_two_scenes_never_share_a_file():
    names = ["a/b", "a__b", "a_b"]
    assert len({scene_file(Path("x"), name) for name in names}) == len(names)


def test_a_file_that_lacks_an_array_or_is_damaged_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        read_arrays(path, ["labels"])
    np.savez(path, labels=np.arange(3))
    assert read_arrays(path, ["labels"])["labels"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="must be a whole file of labels, sets"):
        read_arrays(path, ["labels", "sets"])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="must be a whole file of labels"):
        read_arrays(path, ["labels"])
