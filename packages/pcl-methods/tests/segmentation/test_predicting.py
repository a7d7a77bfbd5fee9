"""Tests of pcl_methods.segmentation.predicting."""

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

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


def test_rows_without_a_place_are_kept(tmp_path, room):
    points = room.points.copy()
    points[::4] = np.nan
    rows = np.zeros(len(points), [("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    for name, column in zip("xyz", points.T, strict=True):
        rows[name] = column
    PlyData([PlyElement.describe(rows, "vertex")]).write(str(tmp_path / "kinect.ply"))
    scan = tmp_path / "kinect.ply"
    with pytest.warns(UserWarning, match=r"kinect: 775 of 3100 points have no finite coordinates"):
        (done,) = predict_scans([scan], find, SCANNET20, tmp_path / "out")
    read = PlyData.read(str(done.file))["vertex"]
    assert done.n_points == len(read) == 3100
    np.testing.assert_array_equal(read["x"].astype(np.float32), points[:, 0])
    assert (read["label"][::4] == -1).all()
    assert (read["instance"][::4] == -1).all()
    assert (read["confidence"][::4] == 0).all()
    assert (read["label"][1::4] == 4).all()
    assert (
        sorted(np.flatnonzero(read["instance"] >= 0))
        == [row for row in range(14) if row % 4 != 0][:10]
    )
    with pytest.raises(ValueError, match=r"kinect.ply: .*; --option drop_invalid=true"):
        list(predict_scans([scan], find, SCANNET20, tmp_path / "o", options=["drop_invalid=false"]))


def test_results_lie_where_the_scan_does(tmp_path, room):
    far = np.array([388096.25, 3948996.0, 30.0])
    rows = np.zeros(len(room.points), [("x", "<f8"), ("y", "<f8"), ("z", "<f8")])
    for name, column in zip("xyz", (room.points + far).T, strict=True):
        rows[name] = column
    PlyData([PlyElement.describe(rows, "vertex")]).write(str(tmp_path / "tile.ply"))
    (done,) = predict_scans([tmp_path / "tile.ply"], find, SCANNET20, tmp_path / "out")
    read = PlyData.read(str(done.file))["vertex"]
    np.testing.assert_allclose(read["x"], rows["x"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(read["y"], rows["y"], atol=1e-3, rtol=0)


def test_nothing_that_is_there_is_written_over(scan, tmp_path):
    before = scan.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"hall.ply must not be replaced, as it is an input"):
            list(predict_scans([scan], find, SCANNET20, scan.parent, overwrite=overwrite))
    assert scan.read_bytes() == before
    out = tmp_path / "out"
    list(predict_scans([scan], find, SCANNET20, out))
    with pytest.raises(ValueError, match=r"out/hall.ply .*--overwrite"):
        list(predict_scans([scan], find, SCANNET20, out))
    list(predict_scans([scan], find, SCANNET20, out, overwrite=True))


def test_results_are_not_taken_for_scans(scan):
    out = scan.parent / "predicted"
    list(predict_scans([scan.parent], find, SCANNET20, out))
    scan.rename(scan.with_name("other.ply"))
    with pytest.raises(ValueError, match="out must be empty where it lies in"):
        list(predict_scans([scan.parent], find, SCANNET20, out, overwrite=True))


def test_all_scans_are_read_and_checked_before_the_first_is_labeled(scan, tmp_path):
    out = tmp_path / "out"
    broken = scan.with_name("z.ply")
    broken.write_bytes(b"ply\nformat binary_little_endian 1.0\nelement v")
    with pytest.raises(ValueError, match=r"z.ply"):
        list(predict_scans([scan.parent], find, SCANNET20, out))

    def refuse(scene):
        raise ValueError(f"{scene.name} does not fit")

    with pytest.raises(ValueError, match="hall does not fit"):
        list(predict_scans([scan], find, SCANNET20, out, check=refuse))
    assert not out.exists()
