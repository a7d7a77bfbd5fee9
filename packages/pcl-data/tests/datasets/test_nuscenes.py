"""Tests of pcl_data.datasets.nuscenes and pcl_data.datasets.nuscenes_tables."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from pcl_data import NUSCENES16
from pcl_data.datasets import NuScenes
from pcl_data.datasets.nuscenes import boxes_in
from pcl_data.datasets.nuscenes_tables import CAMERAS, LIDAR, read_table
from pcl_data.rigid import rigid, transform_points
from pcl_data.testing import check_dataset

VERSION = "v1.0-mini"
SCENES = ("scene-0916", "scene-0103")  # not in the order of their names
START = 1_500_000_000_000_000  # microseconds
INTRINSICS = [[10.0, 0, 20], [0, 10, 15], [0, 0, 1]]
# Around the vehicle, one beside the LiDAR at any time; the world has its origin at the vehicle.
WORLD = np.array([[8.0, 0, 1], [-9, 1, 0.5], [0, 9, 2], [1, -8, 0], [7, 6, 1], [5, -7, 2]])
SEDAN = {"translation": [6.0, 2, 1], "size": [1.8, 4.5, 1.5], "rotation": None}
SENSORS = (LIDAR, *CAMERAS)


def quaternion(*euler):
    return Rotation.from_euler("zyx", euler).as_quat()[[3, 0, 1, 2]].tolist()


def mounting(channel):
    """Translation and quaternion of a sensor: the LiDAR looks along y, the cameras around."""
    if channel == LIDAR:
        return [0.9, 0.0, 1.8], quaternion(-np.pi / 2, 0.02, 0.01)
    turn = Rotation.from_euler("z", -np.pi / 3 * CAMERAS.index(channel))
    axes = turn.as_matrix() @ np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    return [1.0, 0.1, 1.5], Rotation.from_matrix(axes).as_quat()[[3, 0, 1, 2]].tolist()


def vehicle(timestamp):
    seconds = (timestamp - START) * 1e-6
    return [0.5 * seconds, 0.1 * seconds, 0.0], quaternion(0.2 * seconds, 0.01, 0)


def matrix(translation, rotation):
    turn = Rotation.from_quat(np.array(rotation)[[1, 2, 3, 0]])
    return rigid(turn.as_matrix(), np.array(translation))


def sensor_pose(channel, timestamp):
    return matrix(*vehicle(timestamp)) @ matrix(*mounting(channel))


def sweep_points(timestamp):
    """The world and the roof of the vehicle, as the LiDAR sees them."""
    world_to_lidar = np.linalg.inv(sensor_pose(LIDAR, timestamp))
    return np.concatenate([transform_points(world_to_lidar, WORLD), [[0.5, 0.5, -0.3]]])


def write_scene(root, tables, scene, first):
    """Two key frames half a second apart; three sweeps before the first, one between them."""
    tables["scene"].append({"token": f"t-{scene}", "name": scene})
    times = {0: first, 1: first + 500_000}
    for number, time in times.items():
        sample = {"token": f"{scene}-{number}", "timestamp": time, "scene_token": f"t-{scene}"}
        tables["sample"].insert(0, sample)
        for channel in SENSORS:
            delay = 0 if channel == LIDAR else 7_000 * (CAMERAS.index(channel) + 1)
            add_data(root, tables, scene, number, channel, time - delay, is_key=True)
    for number, time in ((0, first - 300_000), (0, first - 150_000), (1, first + 250_000)):
        add_data(root, tables, scene, number, LIDAR, time, is_key=False)
    seen = {"token": f"{scene}-between", "sample_token": f"{scene}-1", "is_key_frame": False}
    seen |= {"calibrated_sensor_token": "c-CAM_FRONT", "ego_pose_token": "of no use"}
    tables["sample_data"].append(seen | {"timestamp": first, "filename": "sweeps/a.jpg"})
    lidar = [row for row in tables["sample_data"] if row["token"].startswith(f"{scene}-{LIDAR}")]
    lidar.sort(key=lambda row: row["timestamp"])
    for row, before in zip(lidar, [{"token": ""}, *lidar], strict=False):
        row["prev"] = before["token"]


def add_data(root, tables, scene, number, channel, time, is_key):
    token = f"{scene}-{channel}-{time}"
    suffix = "pcd.bin" if channel == LIDAR else "jpg"
    filename = f"{'samples' if is_key else 'sweeps'}/{channel}/{token}.{suffix}"
    path = root / filename
    path.parent.mkdir(parents=True, exist_ok=True)
    if channel == LIDAR:
        points = sweep_points(time)
        rows = np.column_stack([points, np.full(len(points), 51), np.zeros(len(points))])
        path.write_bytes(rows.astype("<f4").tobytes())
    else:
        Image.new("RGB", (40, 30), (CAMERAS.index(channel), 0, 0)).save(path)
    if is_key and channel == LIDAR:
        path = root / "lidarseg" / VERSION / f"{token}_lidarseg.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([17, 24, 0, 15, 16, 30, 31]))
    translation, rotation = vehicle(time)
    tables["ego_pose"].append(
        {"token": f"e-{token}", "translation": translation, "rotation": rotation}
    )
    row = {"token": token, "sample_token": f"{scene}-{number}", "ego_pose_token": f"e-{token}"}
    row |= {"calibrated_sensor_token": f"c-{channel}", "timestamp": time, "is_key_frame": is_key}
    tables["sample_data"].append(row | {"filename": filename, "prev": ""})


def write_tables(root):
    names = "scene sample sample_data ego_pose sensor calibrated_sensor category instance"
    tables = {name: [] for name in [*names.split(), "sample_annotation"]}
    for channel in (*SENSORS, "RADAR_FRONT"):
        translation, rotation = ([0, 0, 0], [1, 0, 0, 0]) if "RAD" in channel else mounting(channel)
        tables["sensor"].append({"token": f"s-{channel}", "channel": channel})
        row = {"token": f"c-{channel}", "sensor_token": f"s-{channel}", "translation": translation}
        row |= {"rotation": rotation, "camera_intrinsic": INTRINSICS if "CAM" in channel else []}
        tables["calibrated_sensor"].append(row)
    for i, scene in enumerate(SCENES):
        write_scene(root, tables, scene, START + i * 20_000_000)
    for category in ("vehicle.car", "animal", "static.manmade"):
        tables["category"].append({"token": f"k-{category}", "name": category})
        row = {"token": f"i-{category}", "category_token": f"k-{category}"}
        tables["instance"].append(row)
    for category, turn in (("vehicle.car", 0.3), ("animal", 1.0)):
        row = {"sample_token": "scene-0103-0", "instance_token": f"i-{category}"}
        tables["sample_annotation"].append(row | SEDAN | {"rotation": quaternion(turn, 0, 0)})
    return tables


@pytest.fixture
def tables(tmp_path):
    return write_tables(tmp_path)


@pytest.fixture
def save(tmp_path, tables):
    def write():
        (tmp_path / VERSION).mkdir(exist_ok=True)
        for name, rows in tables.items():
            (tmp_path / VERSION / f"{name}.json").write_text(json.dumps(rows))

    write()
    return write


@pytest.fixture
def root(tmp_path, save):
    return tmp_path


def load(root, split="mini_val", **options):
    return NuScenes(root, split, version=VERSION, **options)


def test_key_frames_are_in_the_order_of_scenes_and_times(root):
    dataset = load(root)
    expected = ("scene-0103-0", "scene-0103-1", "scene-0916-0", "scene-0916-1")
    assert dataset.names == expected
    assert dataset.lidar_token(expected[2]) == f"scene-0916-LIDAR_TOP-{START}"


def test_a_scene_is_a_split(root):
    assert load(root, "scene-0916").names == ("scene-0916-0", "scene-0916-1")


def test_a_key_frame_has_points_intensity_and_labels(root):
    scene = load(root)[2]
    np.testing.assert_allclose(scene.points, sweep_points(START), atol=1e-5)
    np.testing.assert_allclose(scene.intensity, 0.2)
    names = [NUSCENES16.names[i] if i >= 0 else "-" for i in scene.labels]
    assert names == ["car", "driveable_surface", "-", "bus", "bus", "vegetation", "-"]
    assert scene.instances is None
    assert scene.times is None
    np.testing.assert_allclose(scene.sensor_to_world, sensor_pose(LIDAR, START), atol=1e-12)


def test_cameras_lead_through_both_poses_of_the_vehicle(root):
    """The chain of the devkit: LiDAR, vehicle, world, vehicle at the time of the image, camera."""
    scene = load(root, ["scene-0103-1"], cameras=True)[0]
    time = START + 20_500_000
    assert scene.frames.names == CAMERAS
    for i, (channel, frame) in enumerate(zip(CAMERAS, scene.frames, strict=True)):
        at_image = sensor_pose(channel, time - 7_000 * (i + 1))
        in_camera = np.linalg.inv(at_image) @ sensor_pose(LIDAR, time)
        np.testing.assert_allclose(np.linalg.inv(frame.camera_to_world), in_camera, atol=1e-9)
        assert frame.intrinsics.tolist() == INTRINSICS
        assert frame.image.shape == (30, 40, 3)
        assert frame.depth is None


def test_sweeps_are_merged_into_the_frame_of_the_key_frame(root):
    scene = load(root, ["scene-0916-1"], n_sweeps=3)[0]
    n = len(WORLD) + 1
    assert len(scene.points) == n + 2 * len(WORLD)  # the roof is left out of the past
    expected = transform_points(np.linalg.inv(scene.sensor_to_world), WORLD)
    for begin in (0, n, n + len(WORLD)):
        np.testing.assert_allclose(scene.points[begin : begin + len(WORLD)], expected, atol=1e-5)
    assert np.unique(scene.times).tolist() == pytest.approx([-0.5, -0.25, 0])
    assert (np.diff(scene.times) <= 0).all()  # the latest sweep first
    assert (scene.labels[:n] == load(root, ["scene-0916-1"])[0].labels).all()
    assert (scene.labels[n:] == -1).all()
    assert len(scene.intensity) == len(scene.points)


def test_a_scene_that_has_just_begun_has_fewer_sweeps(root):
    scenes = load(root, n_sweeps=10)
    assert [len(np.unique(scene.times)) for scene in scenes] == [3, 5, 3, 5]


def test_boxes_are_in_the_frame_of_the_lidar(root):
    scene = load(root)[0]
    pose = sensor_pose(LIDAR, START + 20_000_000)
    car, animal = scene.boxes
    np.testing.assert_allclose(transform_points(pose, car[None, :3])[0], [6, 2, 1], atol=1e-5)
    np.testing.assert_allclose(car[3:6], [4.5, 1.8, 1.5])  # length, width, height
    front = pose[:3, :3] @ [np.cos(car[6]), np.sin(car[6]), 0]
    assert np.arctan2(front[1], front[0]) == pytest.approx(0.3, abs=0.01)  # the LiDAR is tilted
    assert NUSCENES16.names[int(car[7])] == "car"
    assert animal[7] == -1
    assert load(root)[1].boxes.shape == (0, 8)


@given(st.floats(-3, 3), st.lists(st.floats(-50, 50), min_size=6, max_size=6), st.floats(-3, 3))
def test_boxes_turn_with_a_level_sensor(turn, places, sensor_turn):
    pose = rigid(Rotation.from_euler("z", sensor_turn).as_matrix(), np.array(places[:3]))
    box = np.array([[*places[3:], 2, 5, 1.5, *quaternion(turn, 0, 0), 3]])
    (moved,) = boxes_in(np.linalg.inv(pose), box)
    np.testing.assert_allclose(transform_points(pose, moved[None, :3])[0], places[3:], atol=1e-4)
    assert np.exp(1j * moved[6]) == pytest.approx(np.exp(1j * (turn - sensor_turn)), abs=1e-6)
    assert moved[3:].tolist()[:3] == [5, 2, 1.5]


@pytest.mark.parametrize("options", [{}, {"cameras": True}, {"n_sweeps": 3, "cameras": True}])
def test_the_promises_of_data_sets_are_kept(root, options):
    check_dataset(load(root, **options))


def test_the_test_version_has_neither_labels_nor_boxes(root, tables, save):
    for name in ("sample_annotation", "instance"):
        tables[name].clear()
    save()
    (root / VERSION).rename(root / "v1.0-test")
    scene = NuScenes(root, ["scene-0103-0"], version="v1.0-test")[0]
    assert scene.labels is None
    assert scene.boxes is None


def test_a_missing_table_of_boxes_means_no_boxes(root):
    (root / VERSION / "sample_annotation.json").unlink()
    assert load(root)[0].boxes is None


def test_tables_without_order_of_sweeps_are_enough_for_one_sweep(root, tables, save):
    for row in tables["sample_data"]:
        row.pop("prev", None)
    save()
    assert len(load(root)[0].points) == len(WORLD) + 1
    with pytest.raises(ValueError, match=r"sample_data\.json: .* a row without prev"):
        load(root, n_sweeps=2)


def test_missing_files_are_named(root):
    (root / VERSION / "ego_pose.json").rename(root / "ego_pose.json")
    with pytest.raises(FileNotFoundError, match=r"must hold nuScenes: v1\.0-mini/ego_pose\.json"):
        load(root)
    (root / "ego_pose.json").rename(root / VERSION / "ego_pose.json")
    token = f"scene-0916-LIDAR_TOP-{START}"
    (root / "lidarseg" / VERSION / f"{token}_lidarseg.bin").unlink()
    (root / "sweeps" / LIDAR / f"scene-0916-LIDAR_TOP-{START - 150_000}.pcd.bin").unlink()
    with pytest.raises(FileNotFoundError, match=rf"lidarseg/v1\.0-mini/{token}_lidarseg\.bin miss"):
        load(root)
    with pytest.raises(FileNotFoundError, match=r"sweeps/LIDAR_TOP/scene-0916.*lidarseg\.bin miss"):
        load(root, n_sweeps=2)


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("validation", {}, "split must be one of train, val, test, mini_train, mini_val"),
        ("mini_train", {}, r"scene\.json: must hold a row for scene-0061, .* in another version"),
        (["nowhere"], {}, "a name such as scene-0103-0, or a pattern, got 'nowhere'"),
        ("mini_val", {"n_sweeps": 0}, "n_sweeps must be at least 1, got 0"),
    ],
)
def test_what_is_no_split_is_an_error(root, split, options, message):
    with pytest.raises(ValueError, match=message):
        load(root, split, **options)


def without(table, **fields):
    def damage(tables):
        name, value = next(iter(fields.items()))
        tables[table] = [row for row in tables[table] if row[name] != value]

    return damage


def change(table, field, value):
    def damage(tables):
        for row in tables[table]:
            row[field] = value

    return damage


FIRST = f"scene-0103-LIDAR_TOP-{START + 20_000_000}"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            without("ego_pose", token=f"e-{FIRST}"),
            rf"ego_pose\.json: must hold a row for e-{FIRST}",
        ),
        (
            without("sample_data", token=FIRST),
            r"sample_data\.json: .* \('scene-0103-0', 'LIDAR_TOP'\)",
        ),
        (without("sensor", channel="CAM_BACK"), r"sample_data\.json: .*'CAM_BACK'\)"),
        (without("instance", token="i-vehicle.car"), r"instance\.json: .* i-vehicle\.car"),
        (without("category", name="vehicle.car"), r"category\.json: .* k-vehicle\.car"),
        (
            change("ego_pose", "rotation", [1, 1, 0, 0]),
            rf"{FIRST}: .*a quaternion must have length 1",
        ),
        (change("ego_pose", "translation", [1, 1, "x"]), rf"{FIRST}: .*could not convert"),
        (change("ego_pose", "translation", [1, 1]), rf"{FIRST}: must be a complete pose"),
        (change("sample_data", "timestamp", "noon"), r"timestamp must be of type int, got 'noon'"),
        (
            change("sample_data", "filename", None),
            r"sample_data\.json: filename must be of type str",
        ),
        (change("sample", "token", []), r"sample\.json: token must be of type str, got \[\]"),
        (change("sample", "timestamp", None), r"sample\.json: timestamp must be of type int"),
        (change("scene", "name", {}), r"scene\.json: .*"),
        (change("instance", "category_token", 3), r"instance\.json: category_token must be of"),
        (change("sample_annotation", "size", None), r"sample_annotation\.json: size must be of"),
        (
            change("sample_annotation", "size", [1, 2]),
            r"sample_annotation\.json: must be a complete",
        ),
        (
            change("sample_annotation", "rotation", [2, 0, 0, 0]),
            r"annotation of scene-0103-0: a quat",
        ),
        (change("calibrated_sensor", "camera_intrinsic", [[1]]), r"calibrated_sensor\.json: must"),
    ],
)
def test_broken_tables_are_named(root, tables, save, damage, message):
    damage(tables)
    save()
    with pytest.raises(ValueError, match=message):
        load(root, cameras=True, n_sweeps=2)[0]


def test_labels_of_another_sweep_are_an_error(root):
    (root / "lidarseg" / VERSION / f"{FIRST}_lidarseg.bin").write_bytes(b"\x11")
    with pytest.raises(ValueError, match="must hold one label for each of 7 points, got 1"):
        load(root)[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"token": "a"', "must be a complete JSON file"),
        ('[{"name": "a"}]', "a row without token"),
        ('{"token": "a"}', "no list of rows"),
        ("[3]", "no list of rows"),
        ("[" * 100_000, "must be a complete JSON file"),
    ],
)
def test_broken_json_is_named(tmp_path, text, message):
    (tmp_path / "scene.json").write_text(text)
    with pytest.raises(ValueError, match=rf"scene\.json: .*{message}"):
        read_table(tmp_path / "scene.json", ("token",))


def test_rows_and_fields_that_nobody_asks_for_are_dropped(tmp_path):
    (tmp_path / "a.json").write_text('[{"token": "a", "x": 1}, {"token": "b", "x": 2}]')
    assert read_table(tmp_path / "a.json", ("token",), lambda row: row["x"] > 1) == [{"token": "b"}]
