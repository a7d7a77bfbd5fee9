"""Tests of pcl_data.datasets.kitti_object."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from pcl_data import KITTI8
from pcl_data.datasets import KittiObject
from pcl_data.datasets.kitti_object import read_kitti_boxes
from pcl_data.rigid import transform_points
from pcl_data.testing import check_dataset

POINTS = np.array([[10, 1, -1, 0.5], [12, -2, 0, 0]], "<f4")
CALIBRATION = """
P2: 20 0 20 9 0 20 15 0 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.5 1 0 0 -0.25
"""
CAMERA_TO_LIDAR = np.array([[0, 0, 1, 0.25], [-1, 0, 0, 0], [0, -1, 0, -0.5], [0, 0, 0, 1]])
# A car 2 m right of the camera, 10 m before it, on a road 1.5 m below, that drives away from it.
CAR = "Car 0.00 0 -1.57 0 0 9 9 1.50 1.60 4.00 2.00 1.50 10.00 -1.5707963"
DONT_CARE = "DontCare -1 -1 -10 5 5 9 9 -1 -1 -1 -1000 -1000 -1000 -10"


@pytest.fixture
def root(tmp_path):
    for split in ("training", "testing"):
        for part in ("velodyne", "calib", "image_2"):
            (tmp_path / split / part).mkdir(parents=True)
        for number in ("000003", "000007"):
            folder = tmp_path / split
            (folder / "velodyne" / f"{number}.bin").write_bytes(POINTS.tobytes())
            (folder / "calib" / f"{number}.txt").write_text(CALIBRATION)
            Image.new("RGB", (40, 30)).save(folder / "image_2" / f"{number}.png")
    (tmp_path / "training" / "label_2").mkdir()
    for number in ("000003", "000007"):
        path = tmp_path / "training" / "label_2" / f"{number}.txt"
        path.write_text(f"{CAR}\n{DONT_CARE}\n")
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "val.txt").write_text("000007\n")
    return tmp_path


def test_a_box_stands_before_the_lidar(root):
    scene = KittiObject(root)[0]
    assert scene.name == "training/000003"
    (box,) = scene.boxes
    np.testing.assert_allclose(box[:3], [10.25, -2, -1.5 - 0.5 + 0.75], atol=1e-6)
    np.testing.assert_allclose(box[3:6], [4, 1.6, 1.5], atol=1e-6)
    assert box[6] == pytest.approx(0, abs=1e-6)  # along x, forward
    assert KITTI8.names[int(box[7])] == "Car"
    assert scene.intensity.tolist() == [0.5, 0]
    assert scene.points.tolist() == POINTS[:, :3].tolist()
    assert scene.sensor_to_world is None


def test_the_camera_sees_the_points_where_the_calibration_says(root):
    (frame,) = KittiObject(root, cameras=True)[0].frames
    # By hand: the point (10, 1, -1) is (-1, 0.5, 9.75) in camera 0; P2 adds 9 to u x depth.
    camera = transform_points(np.linalg.inv(frame.camera_to_world), np.array([[10.0, 1, -1]]))[0]
    u, v, w = frame.intrinsics @ camera
    assert [u / w, v / w] == pytest.approx([(20 * -1 + 20 * 9.75 + 9) / 9.75, 20 * 0.5 / 9.75 + 15])


@given(
    st.floats(-3.1, 3.1),
    st.lists(st.floats(0.5, 5), min_size=3, max_size=3),
    st.lists(st.floats(-40, 40), min_size=3, max_size=3),
)
def test_corners_are_those_of_the_development_kit(tmp_path_factory, turn, size, place):
    """Corners as the kit computes them: turned about y, then moved, all in the camera frame."""
    height, width, length = size
    path = tmp_path_factory.mktemp("label") / "a.txt"
    numbers = [*size, *place, turn]
    path.write_text("Van 0 0 0 0 0 0 0 " + " ".join(map(repr, numbers)) + "\n")
    (box,) = read_kitti_boxes(path, CAMERA_TO_LIDAR).astype(np.float64)
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2

    upright = signs * [length, height, width] - [0, height / 2, 0]
    about_y = Rotation.from_euler("y", turn).as_matrix()
    expected = transform_points(CAMERA_TO_LIDAR, upright @ about_y.T + place)

    about_z = Rotation.from_euler("z", box[6]).as_matrix()
    corners = (signs * box[3:6]) @ about_z.T + box[:3]
    gaps = np.linalg.norm(corners[:, None] - expected[None], axis=2).min(axis=1)
    assert gaps.max() < 1e-4  # float32 at 60 m


def test_splits_are_the_folders_and_the_image_sets(root):
    assert KittiObject(root).names == ("training/000003", "training/000007")
    assert KittiObject(root, "val").names == ("training/000007",)
    testing = KittiObject(root, "testing")
    assert testing.names == ("testing/000003", "testing/000007")
    assert testing[0].boxes is None


@pytest.mark.parametrize("split", ["training", "testing", "val"])
def test_the_promises_of_data_sets_are_kept(root, split):
    check_dataset(KittiObject(root, split, cameras=True))


def test_a_sweep_without_objects_has_no_boxes(root):
    (root / "training" / "label_2" / "000003.txt").write_text(f"{DONT_CARE}\n")
    assert KittiObject(root)[0].boxes.shape == (0, 8)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("validation", "split must be one of training, testing, train, val, .* got 'validation'"),
        (["000003"], "a name such as training/00.* got '000003'"),
    ],
)
def test_what_is_no_split_is_an_error(root, split, message):
    with pytest.raises(ValueError, match=message):
        KittiObject(root, split)


def test_missing_files_are_named(root):
    (root / "training" / "calib" / "000007.txt").unlink()
    (root / "training" / "label_2" / "000007.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"calib/000007\.txt, training/label_2/000007\.txt missing"
    ):
        KittiObject(root)
    with pytest.raises(FileNotFoundError, match=r"ImageSets/train\.txt missing"):
        KittiObject(root, "train")
    with pytest.raises(FileNotFoundError, match=r"training missing"):
        KittiObject(root / "ImageSets")


@pytest.mark.parametrize(
    "line",
    [
        CAR.replace("Car", "Cat"),
        CAR[:-12],
        CAR.replace("10.00", "far"),
        CAR.replace("10.00", "nan"),
        CAR.replace("4.00", "-4.00"),
        CAR + " 0.9 0.1",
    ],
)
def test_broken_labels_are_named(root, line):
    (root / "training" / "label_2" / "000003.txt").write_text(f"{CAR}\n{line}\n")
    with pytest.raises(ValueError, match=r"000003\.txt: must be a complete label file, got: "):
        KittiObject(root)[0]


def test_an_unknown_class_is_named(root):
    (root / "training" / "label_2" / "000003.txt").write_text(CAR.replace("Car", "Cat"))
    with pytest.raises(ValueError, match=r"classes of Car, .*, Misc expected, 'Cat' found"):
        KittiObject(root)[0]


def test_a_broken_list_of_a_split_is_named(root):
    (root / "ImageSets" / "val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"val\.txt: .*utf-8"):
        KittiObject(root, "val")
    (root / "ImageSets" / "val.txt").write_text("000007\n000007\n")
    with pytest.raises(ValueError, match=r"val\.txt must be distinct"):
        KittiObject(root, "val")


def test_detections_with_a_score_are_read(root):
    (root / "training" / "label_2" / "000003.txt").write_text(f"{CAR} 0.9\n")
    assert len(KittiObject(root)[0].boxes) == 1


def test_a_broken_calibration_is_named(root):
    path = root / "training" / "calib" / "000003.txt"
    path.write_text(CALIBRATION.replace("R0_rect: 1", "R0_rect: 2"))
    with pytest.raises(ValueError, match=r"calib/000003\.txt: a pose must have a rotation matrix"):
        KittiObject(root)[0]
    path.write_text(CALIBRATION.replace("P2: 20 0", "P2: 20 5 5"))
    with pytest.raises(ValueError, match=r"calib/000003\.txt: .*P2 is no matrix of 3 x 4"):
        KittiObject(root)[0]
