"""Tests of pcl_data.datasets.semantic_kitti."""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from pcl_data import SEMANTICKITTI25
from pcl_data.datasets import SemanticKitti
from pcl_data.rigid import rigid, transform_points
from pcl_data.testing import check_dataset

CAR, ROAD, MOVING_CAR = 10, 40, 252
WORLD = np.array([[12.0, 2, -1.5], [15, -3, 1], [20, 0.5, 0.25], [9, 1, -1]])
P2 = np.array([[20, 0, 20, 9.0], [0, 20, 15, -0.1], [0, 0, 1, 0.01]])
# x right, y down, z forward of a LiDAR with x forward, y left, z up, and a little tilt.
_AXES = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0.0]])
TR = rigid(
    _AXES @ Rotation.from_euler("xyz", [0.01, -0.02, 0.03]).as_matrix(), np.array([0, -0.1, 0.3])
)


def lidar_pose(number):
    """Of the LiDAR in its frame at sweep 0."""
    turn = Rotation.from_euler("z", 0.1 * number).as_matrix()
    return rigid(turn, np.array([0.8 * number, 0.1 * number, 0.02 * number]))


def row(matrix):
    return " ".join(f"{value:.12e}" for value in matrix[:3].ravel())


def write_sequence(folder, n_sweeps, has_labels=True):
    for part in ("velodyne", "image_2", *(["labels"] if has_labels else [])):
        (folder / part).mkdir(parents=True)
    (folder / "calib.txt").write_text(f"P2: {row(P2)}\nTr: {row(TR)}\n")
    camera_poses = [TR @ lidar_pose(i) @ np.linalg.inv(TR) for i in range(n_sweeps)]
    (folder / "poses.txt").write_text("".join(row(pose) + "\n" for pose in camera_poses))
    for i in range(n_sweeps):
        points = transform_points(np.linalg.inv(lidar_pose(i)), WORLD)
        rows = np.column_stack([points, [0, 0.25, 0.5, 0.99]]).astype("<f4")
        (folder / "velodyne" / f"{i:06d}.bin").write_bytes(rows.tobytes())
        raw = np.array([CAR | 5 << 16, ROAD, 0, MOVING_CAR | 6 << 16], "<u4")
        if has_labels:
            (folder / "labels" / f"{i:06d}.label").write_bytes(raw.tobytes())
        Image.new("RGB", (40, 30), (i, 0, 0)).save(folder / "image_2" / f"{i:06d}.png")


@pytest.fixture
def root(tmp_path):
    for number in range(22):
        write_sequence(tmp_path / "sequences" / f"{number:02d}", 1 + number % 2, number < 11)
    write_sequence(tmp_path / "sequences" / "99", 3)
    return tmp_path


def test_splits_are_the_official_sequences(root):
    sequences = {
        split: sorted({name[:2] for name in SemanticKitti(root, split).names})
        for split in ("train", "val", "test")
    }
    assert sequences["train"] == [f"{i:02d}" for i in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10)]
    assert sequences["val"] == ["08"]
    assert sequences["test"] == [str(i) for i in range(11, 22)]
    assert SemanticKitti(root, "train").names[:3] == ("00/000000", "01/000000", "01/000001")


def test_a_sweep_has_points_intensity_labels_and_objects(root):
    scene = SemanticKitti(root, "val")[0]
    assert scene.name == "08/000000"
    np.testing.assert_allclose(scene.points, WORLD, atol=1e-5)
    assert scene.intensity.tolist() == pytest.approx([0, 0.25, 0.5, 0.99])
    assert scene.labels.tolist() == [0, 8, -1, 0]  # car, road, none, moving car
    assert (scene.instances >= 0).tolist() == [True, False, False, True]
    assert scene.instances[0] != scene.instances[3]
    assert len(scene.frames) == 0
    moving = SemanticKitti(root, "val", label_set=SEMANTICKITTI25)[0]
    assert moving.label_set.names[moving.labels[3]] == "moving-car"


def test_poses_bring_sweeps_together(root):
    for scene in SemanticKitti(root, ["99/000000", "99/000001", "99/000002"]):
        world = transform_points(scene.sensor_to_world, scene.points.astype(np.float64))
        np.testing.assert_allclose(world, WORLD, atol=1e-4)  # float32 points


def test_the_camera_sees_the_points_where_the_calibration_says(root):
    dataset = SemanticKitti(root, ["99/000002"], cameras=True)
    scene = dataset[0]
    (frame,) = scene.frames
    assert frame.image.shape == (30, 40, 3)
    assert frame.image[0, 0, 0] == 2
    assert frame.depth is None
    for point in scene.points.astype(np.float64):
        x, y, z = P2 @ TR @ [*point, 1]  # the readme of the odometry kit
        in_camera = np.linalg.inv(frame.camera_to_world) @ [*point, 1]
        u, v, w = frame.intrinsics @ in_camera[:3]
        np.testing.assert_allclose([u / w, v / w, w], [x / z, y / z, z], rtol=1e-9)


def test_test_sequences_have_no_labels(root):
    scene = SemanticKitti(root, "test")[0]
    assert scene.labels is None
    assert scene.instances is None


@pytest.mark.parametrize("split", ["train", "val", "test", ["99/000001"]])
def test_the_promises_of_data_sets_are_kept(root, split):
    check_dataset(SemanticKitti(root, split, cameras=True))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("validation", "split must be one of train, val, test, 00, .* got 'validation'"),
        (["8/0"], "a name such as 00/000000, or a pattern, got '8/0'"),
    ],
)
def test_what_is_no_split_is_an_error(root, split, message):
    with pytest.raises(ValueError, match=message):
        SemanticKitti(root, split)


def test_missing_files_are_named(root):
    folder = root / "sequences" / "08"
    (folder / "labels" / "000000.label").unlink()
    (folder / "poses.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"08/poses\.txt, sequences/08/labels/000000\.label missing, from"
    ):
        SemanticKitti(root, "val")
    (root / "sequences" / "99" / "image_2" / "000001.png").unlink()
    assert len(SemanticKitti(root, ["99/000001"])) == 1
    with pytest.raises(FileNotFoundError, match=r"image_2/000001\.png missing"):
        SemanticKitti(root, ["99/000001"], cameras=True)


def test_an_absent_sequence_is_named(root):
    for path in (root / "sequences" / "08" / "velodyne").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"sequences/08/velodyne/\*\.bin missing"):
        SemanticKitti(root, "val")


def cut(path, n_bytes=1):
    path.write_bytes(path.read_bytes()[:-n_bytes])


def edit_poses(edit):
    return lambda folder: (folder / "poses.txt").write_text(
        edit((folder / "poses.txt").read_text())
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: cut(f / "velodyne" / "000002.bin"), r"000002\.bin: must hold rows of 16 bytes"),
        (lambda f: cut(f / "labels" / "000002.label"), r"000002\.label: must hold rows of 4"),
        (
            lambda f: cut(f / "labels" / "000002.label", 4),
            r"000002\.label: must hold one label for each of 4 points, got 3",
        ),
        (edit_poses(lambda t: t[: t.rindex("\n", 0, -1) + 1]), "a row for sweep 2, got 2 rows"),
        (edit_poses(lambda t: t[: t.rindex("\n", 0, -1) + 1] + "inf " * 12), "must be finite"),
        (lambda f: (f / "calib.txt").write_text(f"P2: {row(P2)}\n"), r"calib\.txt: .* no line Tr"),
        (
            lambda f: (f / "calib.txt").write_text(f"P2: {row(P2)}\nTr: {row(2 * TR)}\n"),
            r"calib\.txt: a pose must have a rotation matrix",
        ),
    ],
)
def test_broken_files_are_named(root, damage, message):
    damage(root / "sequences" / "99")
    dataset = SemanticKitti(root, ["99/000002"])
    with pytest.raises(ValueError, match=message):
        dataset[0]


def test_a_lost_pose_matters_to_its_own_sweep_alone(root):
    path = root / "sequences" / "99" / "poses.txt"
    path.write_text("inf " * 12 + "\n" + path.read_text())
    dataset = SemanticKitti(root, ["99/000000", "99/000001"])
    assert dataset[1].name == "99/000001"
    with pytest.raises(ValueError, match=r"poses\.txt: a pose must be finite"):
        dataset[0]


def test_a_sequence_is_a_split_of_its_own(root):
    assert SemanticKitti(root, "08").names == SemanticKitti(root, "val").names
    assert {name[:2] for name in SemanticKitti(root, "03").names} == {"03"}
