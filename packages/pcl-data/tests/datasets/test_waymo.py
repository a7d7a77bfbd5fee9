"""Tests of pcl_data.datasets.waymo, waymo_parquet and waymo_range_image."""

import builtins
import shutil
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from pcl_data import WAYMO22
from pcl_data.datasets import Waymo
from pcl_data.datasets.waymo import CAMERAS
from pcl_data.datasets.waymo_parquet import Row, key_values
from pcl_data.datasets.waymo_range_image import range_image_points, uniform_inclinations
from pcl_data.rigid import rigid, transform_points
from pcl_data.testing import check_dataset

HEIGHT, WIDTH = 6, 40
SEGMENT = "1234567890_100_000_120_000"
TIMES = (1_500_000, 1_600_000, 1_700_000, 1_800_000, 1_900_000)
LABELED = TIMES[1::2]
INCLINATIONS = np.deg2rad([-18, -12.5, -8, -5, -3, -1.5])  # from the lowest row
EXTRINSIC = rigid(
    Rotation.from_euler("zyx", [2.6, 0.01, -0.02]).as_matrix(), np.array([1.43, 0, 2.18])
)
BALL, RADIUS = np.array([60.0, -30, 1]), 4.0  # in the world, whose ground is z = 0
CAR, ROAD = WAYMO22.names.index("car") + 1, WAYMO22.names.index("road") + 1


def vehicle_angles(time, share):
    """Roll, pitch, yaw, x, y, z of the vehicle, `share` of a turn of the LiDAR after `time`."""
    seconds = (time - TIMES[0]) * 1e-6 + 0.1 * share
    return np.array([0.004, -0.006, 0.3 + 0.2 * seconds, 50 + 8 * seconds, -30 + seconds, 0.05])


def vehicle_pose(time, share=0.5):
    roll, pitch, yaw, *place = vehicle_angles(time, share)
    return rigid(Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix(), np.array(place))


def cast(origin, direction):
    """Distance to the ball or to the ground, and the class; 0 where the ray meets neither."""
    to_ball = origin - BALL
    middle = direction @ to_ball
    root = middle**2 - (to_ball @ to_ball - RADIUS**2)
    if root >= 0 and -middle - np.sqrt(root) > 0:
        return -middle - np.sqrt(root), CAR
    distance = -origin[2] / direction[2] if direction[2] < 0 else 0
    return (distance, ROAD) if 0 < distance < 75 else (0, 0)


def scan(time, inclinations=INCLINATIONS):
    """Range image, poses of its pixels and classes, ray by ray from the definition."""
    image = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    poses = np.zeros((HEIGHT, WIDTH, 6), np.float32)
    classes = np.zeros((HEIGHT, WIDTH, 2), np.int32)
    for row in range(HEIGHT):
        up = inclinations[HEIGHT - 1 - row]
        for column in range(WIDTH):
            # Column 0 looks backwards in the vehicle's frame and the LiDAR turns clockwise.
            azimuth = np.pi - 2 * np.pi * (column + 0.5) / WIDTH
            azimuth -= np.arctan2(EXTRINSIC[1, 0], EXTRINSIC[0, 0])
            ray = [np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)]
            poses[row, column] = vehicle_angles(time, column / WIDTH)
            lidar = vehicle_pose(time, column / WIDTH) @ EXTRINSIC
            distance, kind = cast(lidar[:3, 3], lidar[:3, :3] @ ray)
            image[row, column] = distance, 3.0 if kind == CAR else 0.5, 0, -1
            classes[row, column] = 9 if kind == CAR else 0, kind
    return image, poses, classes


def write(root, tag, component, rows, split="training"):
    """One parquet file: keys keep their names, fields get that of the component."""
    path = root / split / tag / f"{SEGMENT}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {}
    for name in rows[0]:
        title = name if name.startswith("key.") else f"[{component}].{name}"
        columns[title] = pa.array([row[name] for row in rows])
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


def image_cells(name, image):
    values = None if image is None else image.ravel().tolist()
    return {f"{name}.values": values, f"{name}.shape": None if image is None else image.shape}


def frame_key(time, **sensor):
    key = {"key.segment_context_name": SEGMENT, "key.frame_timestamp_micros": time}
    return key | {f"key.{name}": number for name, number in sensor.items()}


def write_segment(root, split="training", listed=True):
    inclinations = INCLINATIONS if listed else uniform_inclinations(-0.3, 0.0, HEIGHT)
    lidar, pose, labels, vehicle, images = [], [], [], [], []
    for time in TIMES:
        image, poses, classes = scan(time, inclinations)
        second = image * [0.5, 1, 1, 1]
        returns = image_cells("range_image_return1", image)
        for laser in (2, 1, 5):  # other LiDARs have other images
            other = image_cells("range_image_return1", np.ones((2, 3, 4), np.float32))
            cells = (returns if laser == 1 else other) | image_cells("range_image_return2", second)
            lidar.append(frame_key(time, laser_name=laser) | cells)
        key = frame_key(time, laser_name=1)
        pose.append(key | image_cells("range_image_return1", poses))
        vehicle.append(
            frame_key(time) | {"world_from_vehicle.transform": vehicle_pose(time).ravel()}
        )
        if time in LABELED:
            cells = image_cells("range_image_return1", classes)
            labels.append(key | cells | image_cells("range_image_return2", classes))
        for number in range(1, 6):
            images.append(frame_key(time, camera_name=number) | camera_image(time, number))
    write(root, "lidar", "LiDARComponent", lidar, split)
    write(root, "lidar_pose", "LiDARPoseComponent", pose, split)
    write(root, "vehicle_pose", "VehiclePoseComponent", vehicle, split)
    write(root, "camera_image", "CameraImageComponent", images, split)
    if split != "testing":
        write(root, "lidar_segmentation", "LiDARSegmentationLabelComponent", labels, split)
    calibration = {
        "key.segment_context_name": SEGMENT,
        "extrinsic.transform": EXTRINSIC.ravel(),
        "beam_inclination.min": -0.3,
        "beam_inclination.max": 0.0,
    }
    rows = [
        calibration | {"key.laser_name": laser, "beam_inclination.values": values}
        for laser, values in ((2, None), (1, INCLINATIONS.tolist() if listed else None))
    ]
    write(root, "lidar_calibration", "LiDARCalibrationComponent", rows, split)
    cameras = [camera_calibration(number) for number in range(1, 6)]
    write(root, "camera_calibration", "CameraCalibrationComponent", cameras, split)


def camera_pose(number):
    turn = Rotation.from_euler("z", (0, 0.7, -0.7, 1.6, -1.6)[number - 1])
    return rigid(turn.as_matrix(), np.array([1.5, 0.1, 2.1]))


def camera_image(time, number):
    file = BytesIO()
    Image.new("RGB", (60, 40), (number * 40, 0, 0)).save(file, "PNG")
    return {"image": file.getvalue(), "pose.transform": vehicle_pose(time, 0.1 * number).ravel()}


def camera_calibration(number):
    return {
        "key.segment_context_name": SEGMENT,
        "key.camera_name": number,
        **{"intrinsic.f_u": 30.0, "intrinsic.f_v": 31.0, "intrinsic.c_u": 29.0},
        "intrinsic.c_v": 19.0,
        "extrinsic.transform": camera_pose(number).ravel(),
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waymo")
    write_segment(folder)
    write_segment(folder, "testing", listed=False)
    return folder


@pytest.fixture
def own_root(root, tmp_path):
    """A root that a test may damage."""
    shutil.copytree(root, tmp_path / "own")
    return tmp_path / "own"


def test_scenes_of_labeled_splits_are_the_labeled_frames(root):
    assert Waymo(root).names == tuple(f"training/{SEGMENT}/{time}" for time in LABELED)
    assert Waymo(root, "testing").names == tuple(f"testing/{SEGMENT}/{time}" for time in TIMES)


@pytest.mark.parametrize("split", ["training", "testing"])
def test_points_lie_on_the_world_that_was_scanned(root, split):
    """With listed and with evenly spread inclinations, while the vehicle drives and turns."""
    for scene in Waymo(root, split):
        world = transform_points(scene.sensor_to_world, scene.points.astype(np.float64))
        to_ball = np.abs(np.linalg.norm(world - BALL, axis=1) - RADIUS)
        assert np.minimum(to_ball, np.abs(world[:, 2])).max() < 1e-3
        assert (to_ball < 1e-3).sum() > 3
        assert (np.abs(world[:, 2]) < 1e-3).sum() > 50


def test_sensor_to_world_is_the_pose_of_the_vehicle(root):
    scene = Waymo(root)[1]
    np.testing.assert_allclose(scene.sensor_to_world, vehicle_pose(LABELED[1]), atol=1e-12)


def test_points_are_those_of_the_equation(root):
    scene = Waymo(root)[0]
    image, poses, _ = scan(LABELED[0])
    world_to_vehicle = np.linalg.inv(vehicle_pose(LABELED[0]))
    expected = []
    for row in range(HEIGHT):
        for column in range(WIDTH):
            distance = float(image[row, column, 0])
            if distance <= 0:
                continue
            up = INCLINATIONS[HEIGHT - 1 - row]
            azimuth = np.pi - 2 * np.pi * (column + 0.5) / WIDTH
            azimuth -= np.arctan2(EXTRINSIC[1, 0], EXTRINSIC[0, 0])
            ray = [np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)]
            roll, pitch, yaw, *place = poses[row, column].astype(np.float64)
            turn = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
            pose = world_to_vehicle @ rigid(turn, np.array(place)) @ EXTRINSIC
            expected.append(pose[:3, :3] @ ray * distance + pose[:3, 3])
    np.testing.assert_allclose(scene.points, expected, atol=1e-5)


def test_labels_objects_and_intensity_go_with_the_points(root):
    scene = Waymo(root)[0]
    world = transform_points(scene.sensor_to_world, scene.points.astype(np.float64))
    on_ball = np.abs(np.linalg.norm(world - BALL, axis=1) - RADIUS) < 1e-3
    assert (scene.labels[on_ball] == CAR - 1).all()
    assert (scene.labels[~on_ball] == ROAD - 1).all()
    assert len(np.unique(scene.instances[on_ball])) == 1
    assert (scene.instances[~on_ball] == -1).all()
    np.testing.assert_allclose(scene.intensity[on_ball], np.tanh(3), rtol=1e-6)
    np.testing.assert_allclose(scene.intensity[~on_ball], np.tanh(0.5), rtol=1e-6)


def test_the_test_split_has_no_labels(root):
    scene = Waymo(root, "testing")[0]
    assert scene.labels is None
    assert scene.instances is None


def test_second_returns_follow_the_first(root):
    first, both = Waymo(root)[0], Waymo(root, n_returns=2)[0]
    n = len(first.points)
    assert len(both.points) == 2 * n
    assert (both.points[:n] == first.points).all()
    origin = EXTRINSIC[:3, 3]  # the second return is half way to the first, but for the motion
    np.testing.assert_allclose(both.points[n:] - origin, (first.points - origin) / 2, atol=0.5)
    assert (both.labels == np.tile(first.labels, 2)).all()


def test_cameras_see_through_their_own_pose_of_the_vehicle(root):
    time = LABELED[0]
    scene = Waymo(root, cameras=True)[0]
    assert scene.frames.names == CAMERAS
    for number, frame in enumerate(scene.frames, start=1):
        world_to_camera = np.linalg.inv(vehicle_pose(time, 0.1 * number) @ camera_pose(number))
        in_camera = transform_points(world_to_camera @ scene.sensor_to_world, scene.points)
        ours = transform_points(np.linalg.inv(frame.camera_to_world), scene.points)
        forward, left, up = in_camera.T
        np.testing.assert_allclose(ours, np.stack([-left, -up, forward], axis=1), atol=1e-9)
        assert frame.intrinsics.tolist() == [[30, 0, 29], [0, 31, 19], [0, 0, 1]]
        assert frame.image[0, 0, 0] == number * 40


@pytest.mark.parametrize("split", ["training", "testing", [f"training/{SEGMENT}/{LABELED[1]}"]])
def test_the_promises_of_data_sets_are_kept(root, split):
    check_dataset(Waymo(root, split, cameras=True))


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("val", {}, "split must be one of training, validation, testing, .* got 'val'"),
        (["train/x/1"], {}, rf"a name such as training/{SEGMENT}/\d+, or a pattern"),
        ("training", {"n_returns": 3}, "n_returns must be 1 or 2, got 3"),
    ],
)
def test_what_is_no_split_is_an_error(root, split, options, message):
    with pytest.raises(ValueError, match=message):
        Waymo(root, split, **options)


def test_missing_files_are_named(own_root):
    with pytest.raises(FileNotFoundError, match=r"validation/lidar_segmentation missing"):
        Waymo(own_root, "validation")
    (own_root / "training" / "lidar_pose" / f"{SEGMENT}.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=rf"training/lidar_pose/{SEGMENT}\.parquet missing"):
        Waymo(own_root)


def test_a_missing_pyarrow_names_the_extra(root, monkeypatch):
    original = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match=r"pip install 'pcl-data\[waymo\]'"):
        Waymo(root)


def labels_row(image, **more):
    return frame_key(LABELED[0], laser_name=1) | image_cells("range_image_return1", image) | more


@pytest.mark.parametrize(
    ("tag", "component", "row", "message"),
    [
        (
            "lidar_segmentation",
            "LiDARSegmentationLabelComponent",
            labels_row(np.full((HEIGHT, WIDTH, 2), 99)),
            r"lidar_segmentation.*: raw must hold ids known to waymo22, got \[99\]",
        ),
        (
            "lidar_segmentation",
            "LiDARSegmentationLabelComponent",
            labels_row(np.zeros((HEIGHT, 2, 2), int)),
            r"must have the same size, got \(6, 2\) and \(6, 40\)",
        ),
        (
            "lidar_segmentation",
            "LiDARSegmentationLabelComponent",
            labels_row(np.zeros((HEIGHT, WIDTH, 3), int)),
            r"has shape \[6, 40, 3\], not h x w x 2",
        ),
        (
            "lidar",
            "LiDARComponent",
            labels_row(None, **{"range_image_return1.shape": [HEIGHT, WIDTH, 4]}),
            "has not one value for each pixel",
        ),
        (
            "lidar",
            "LiDARComponent",
            labels_row(np.zeros((1, 1, 4)), **{"range_image_return1.shape": [2**20, 2**20, 4]}),
            r"has not one value for each pixel and channel of \[1048576, 1048576, 4\]",
        ),
        (
            "lidar",
            "LiDARComponent",
            labels_row(np.full((HEIGHT, WIDTH, 4), np.nan)),
            "has values that are no finite float32",
        ),
        (
            "lidar",
            "LiDARComponent",
            labels_row(np.ones((HEIGHT, 3, 4))),
            r"must have the same size, got \(6, 3\) and \(6, 40\)",
        ),
        (
            "lidar",
            "LiDARComponent",
            labels_row(np.ones((HEIGHT, WIDTH, 4))) | {"key.laser_name": 2},
            "0 rows with {'frame_timestamp_micros': 1600000, 'laser_name': 1}, not one",
        ),
        (
            "vehicle_pose",
            "VehiclePoseComponent",
            frame_key(LABELED[0]) | {"world_from_vehicle.transform": [np.inf] * 16},
            r"vehicle_pose.* a pose must be finite",
        ),
        (
            "vehicle_pose",
            "VehiclePoseComponent",
            frame_key(LABELED[0]) | {"world_from_vehicle.transform": [1.0] * 3},
            r"vehicle_pose.* must be a complete parquet file",
        ),
        (
            "vehicle_pose",
            "OtherComponent",
            frame_key(LABELED[0]) | {"world_from_vehicle.transform": [1.0] * 16},
            r"no column \[VehiclePoseComponent\]\.world_from_vehicle\.transform",
        ),
        (
            "lidar_calibration",
            "LiDARCalibrationComponent",
            {
                "key.laser_name": 1,
                "extrinsic.transform": EXTRINSIC.ravel(),
                **{"beam_inclination.min": 0.0, "beam_inclination.max": 1.0},
                "beam_inclination.values": [0.1, 0.2],
            },
            r"beam_inclination\.values must be 6 angles, one a row of the range image, got \[0\.1",
        ),
        (
            "lidar_calibration",
            "LiDARCalibrationComponent",
            {
                "key.laser_name": 1,
                "extrinsic.transform": EXTRINSIC.ravel(),
                **{"beam_inclination.min": None, "beam_inclination.max": 1.0},
                "beam_inclination.values": None,
            },
            r"beam_inclination\.min must have a value, got none",
        ),
    ],
)
def test_broken_rows_are_named(own_root, tag, component, row, message):
    dataset = Waymo(own_root)
    write(own_root, tag, component, [row])
    with pytest.raises(ValueError, match=message) as error:
        dataset[0]
    assert f"training/{tag}/{SEGMENT}.parquet: " in str(error.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_give_a_row_or_an_error_of_the_file(tmp_path, root, data):
    path = tmp_path / "a.parquet"
    content = bytearray((root / "training" / "vehicle_pose" / f"{SEGMENT}.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), 100, 3, 0]))])
    try:
        key_values(path, "frame_timestamp_micros")
        fields = ("world_from_vehicle.transform",)
        row = Row(path, "VehiclePoseComponent", fields, frame_timestamp_micros=TIMES[0])
        row.transform("world_from_vehicle")
    except ValueError as error:
        assert str(error).startswith(str(path))  # noqa: PT017


@pytest.mark.parametrize("group_rows", [1, 4, 27])
def test_rows_are_found_in_any_row_group(tmp_path, group_rows):
    rows = [{"key.time": i, "key.laser": j, "x": 10 * i + j} for i in range(9) for j in range(3)]
    path = write(tmp_path, "numbers", "Numbers", rows)
    pq.write_table(pq.read_table(path), path, row_group_size=group_rows)
    for i, j in ((0, 0), (1, 0), (1, 1), (8, 2)):
        assert Row(path, "Numbers", ("x",), time=i, laser=j).value("x") == 10 * i + j


def test_a_row_that_is_there_twice_is_an_error(tmp_path):
    path = write(tmp_path, "numbers", "Numbers", [{"key.time": 1, "x": 5}] * 2)
    with pytest.raises(ValueError, match=r"2 rows with \{'time': 1\}, not one"):
        Row(path, "Numbers", ("x",), time=1)


def test_no_return_is_no_point():
    points = range_image_points(
        np.array([[0.0, -1.0]]), np.zeros(1), np.eye(4), np.zeros((1, 2, 6)), np.eye(4)
    )
    assert points.shape == (0, 3)
