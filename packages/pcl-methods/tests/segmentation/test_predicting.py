"""Tests of pcl_methods.segmentation.predicting."""

import numpy as np
import pytest

from pcl_data import SCANNET20
from pcl_data.export import write_ply
from pcl_data.readers import read_scene
from pcl_methods.segmentation.inference import Classes, Instances
from pcl_methods.segmentation.predicting import predict_scans


def find(scene):
    n = len(scene.points)
    ids = np.repeat([0, -1], [10, n - 10])
    return Instances(np.full(n, 4), np.full(n, 0.5), ids, np.array([4]), np.array([0.5]))


@pytest.fixture
def scan(tmp_path, room):
    path = tmp_path / "scans" / "hall.ply"
    path.parent.mkdir()
    write_ply(path, room.points, colors=room.colors)
    return path


def test_every_point_of_a_scan_is_labeled(scan, tmp_path, room):
    (done,) = predict_scans([scan], find, SCANNET20, tmp_path / "out")
    assert (done.n_points, done.n_instances) == (len(room.points), 1)
    read = read_scene(done.file)
    np.testing.assert_array_equal(read.points, room.points)
    assert (read.labels == 4).all()
    assert (read.instances >= 0).sum() == 10
    assert (read.colors == SCANNET20.colors[4]).all()


def test_a_network_without_instances_writes_none(scan, tmp_path):
    def classes(scene):
        return Classes(np.full(len(scene.points), 3), np.ones(len(scene.points)))

    (done,) = predict_scans([scan.parent], classes, SCANNET20, tmp_path / "out")
    assert done.n_instances is None
    assert read_scene(done.file).instances is None


def test_scans_of_one_name_and_options_that_are_none_are_refused(scan, tmp_path):
    with pytest.raises(ValueError, match="scans must have distinct names, got hall twice"):
        list(predict_scans([scan, scan.parent], find, SCANNET20, tmp_path / "out"))
    with pytest.raises(ValueError, match="did you mean 'pattern'"):
        list(predict_scans([scan], find, SCANNET20, tmp_path, options=["patern=*"]))
    with pytest.raises(FileNotFoundError, match="root must exist"):
        list(predict_scans([tmp_path / "none.ply"], find, SCANNET20, tmp_path / "out"))
