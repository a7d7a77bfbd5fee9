"""Tests of pcl_synth.streets.semantickitti_layout."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from pcl_data import SEMANTICKITTI25
from pcl_data.datasets import SemanticKitti
from pcl_data.testing import check_dataset
from pcl_synth.streets import (
    SyntheticStreets,
    semantickitti_layout,
    write_semantickitti_layout,
)


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return SyntheticStreets(1, n_sweeps=2, stride=5, beams=32, cameras=True, cache=cache)


@pytest.fixture(scope="module")
def sequence(streets, tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "kitti"
    write_semantickitti_layout(streets, root)
    return root / "sequences" / "00"


@pytest.fixture(scope="module")
def scenes(streets):
    return list(streets.with_labels(SEMANTICKITTI25))


def _matrices(path):
    """Rows of 12 numbers as 4 by 4 matrices, by the name before the colon or by number."""
    matrices = {}
    for number, line in enumerate(path.read_text().splitlines()):
        name, _, values = line.rpartition(":")
        matrix = np.eye(4)
        matrix[:3] = np.array(values.split(), float).reshape(3, 4)
        matrices[name or number] = matrix
    return matrices


def test_files_are_those_of_the_layout(sequence):
    files = sorted(str(p.relative_to(sequence)) for p in sequence.rglob("*") if p.is_file())
    stems = ("000000", "000001")
    expected = ["calib.txt", "poses.txt", "times.txt"]
    expected += [f"velodyne/{stem}.bin" for stem in stems]
    expected += [f"labels/{stem}.label" for stem in stems]
    expected += [f"image_2/{stem}.png" for stem in stems]
    assert files == sorted(expected)


def test_bytes_are_points_with_intensity_and_ids(sequence, scenes):
    for number, scene in enumerate(scenes):
        points = np.fromfile(sequence / f"velodyne/{number:06d}.bin", "<f4").reshape(-1, 4)
        assert_array_equal(points[:, :3], scene.points)
        assert_array_equal(points[:, 3], scene.intensity)
        ids = np.fromfile(sequence / f"labels/{number:06d}.label", "<u4")
        assert_array_equal(SEMANTICKITTI25.to_train((ids & 0xFFFF).astype(int)), scene.labels)
        assert_array_equal((ids >> 16).astype(int) - 1, scene.instances)
        assert np.isin(ids & 0xFFFF, range(252, 260)).any()  # something moves


def test_poses_and_calibration_lead_from_sweep_to_sweep(sequence, scenes):
    to_camera = _matrices(sequence / "calib.txt")["Tr"]
    poses = _matrices(sequence / "poses.txt")
    assert_allclose(poses[0], np.eye(4), atol=1e-9)
    first, second = (scene.sensor_to_world for scene in scenes)
    between = np.linalg.inv(to_camera) @ poses[1] @ to_camera
    assert_allclose(between, np.linalg.inv(first) @ second, atol=1e-8)
    assert between[0, 3] > 2  # half a second of driving ahead


def test_the_projection_of_camera_2_hits_the_pixels_of_its_image(sequence, scenes):
    calibration = _matrices(sequence / "calib.txt")
    projection = calibration["P2"][:3] @ calibration["Tr"]
    frame = scenes[0].frames[0]
    points = scenes[0].points[scenes[0].points[:, 0] > 3].astype(np.float64)
    u, v, z = projection[:, :3] @ points.T + projection[:, 3:]
    camera = np.linalg.inv(frame.camera_to_world)
    x, y, depth = frame.intrinsics @ (camera[:3, :3] @ points.T + camera[:3, 3:])
    assert_allclose(np.stack([u / z, v / z, z]), np.stack([x / depth, y / depth, depth]), atol=1e-6)
    image = np.asarray(Image.open(sequence / "image_2" / "000000.png"))
    assert_array_equal(image, frame.image)


def test_the_reader_of_semantickitti_gives_the_sweeps_back(sequence, scenes):
    root = sequence.parent.parent
    sweeps = SemanticKitti(root, "00", label_set=SEMANTICKITTI25, cameras=True)
    check_dataset(sweeps)
    first = np.linalg.inv(sweeps[0].sensor_to_world), np.linalg.inv(scenes[0].sensor_to_world)
    for read, scene in zip(sweeps, scenes, strict=True):
        for field in ("points", "labels", "intensity"):
            assert_array_equal(getattr(read, field), getattr(scene, field))
        pairs = np.unique(np.stack([read.instances, scene.instances], axis=1), axis=0)
        assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == len(pairs)
        assert_array_equal(read.instances == -1, scene.instances == -1)
        poses = first[0] @ read.sensor_to_world, first[1] @ scene.sensor_to_world
        assert_allclose(*poses, atol=1e-8)
        frame, source = read.frames[0], scene.frames[0]
        assert_array_equal(frame.image, source.image)
        assert_allclose(frame.intrinsics, source.intrinsics, atol=1e-8)
        assert_allclose(frame.camera_to_world, source.camera_to_world, atol=1e-8)


def test_cameras_differ_by_their_baselines(sequence):
    calibration = _matrices(sequence / "calib.txt")
    focal = calibration["P0"][0, 0]
    shifts = [calibration[f"P{i}"][0, 3] / focal for i in range(4)]
    assert_allclose(shifts, [0, -0.54, 0.06, -0.48], atol=1e-9)


def test_times_are_seconds_from_the_first_sweep(sequence):
    assert_allclose(np.loadtxt(sequence / "times.txt"), [0.0, 0.5])


def test_without_cameras_there_are_no_images(streets, tmp_path):
    plain = SyntheticStreets(1, n_sweeps=1, beams=32, cache=tmp_path / "cache")
    write_semantickitti_layout(plain, tmp_path / "plain")
    assert not (tmp_path / "plain" / "sequences" / "00" / "image_2").exists()


def test_rejects_a_folder_that_exists(streets, tmp_path):
    with pytest.raises(FileExistsError, match="must not exist yet"):
        write_semantickitti_layout(streets, tmp_path)


def test_nothing_is_left_of_a_folder_that_fails(streets, tmp_path, monkeypatch):
    def fail():
        raise OSError("no space left")

    monkeypatch.setattr(semantickitti_layout, "_calibration", fail)
    with pytest.raises(OSError, match="no space left"):
        write_semantickitti_layout(streets, tmp_path / "kitti")
    assert list(tmp_path.iterdir()) == []
