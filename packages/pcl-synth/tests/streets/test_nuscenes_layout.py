"""Tests of pcl_synth.streets.nuscenes_layout and its constants."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from pcl_data import NUSCENES16, SEMANTICKITTI25
from pcl_data.datasets import NuScenes
from pcl_data.testing import check_dataset
from pcl_synth.streets import (
    SyntheticStreets,
    nuscenes_layout,
    write_nuscenes_layout,
)
from pcl_synth.streets import nuscenes_constants as constants

VERSION = "v1.0-test-of-streets"


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return SyntheticStreets(1, n_sweeps=2, stride=5, beams=32, cameras=True, cache=cache)


@pytest.fixture(scope="module")
def scenes(streets):
    return list(streets.with_labels(SEMANTICKITTI25))


@pytest.fixture(scope="module")
def root(streets, tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "nuscenes"
    write_nuscenes_layout(streets, root, VERSION)
    return root


@pytest.fixture(scope="module")
def database(root):
    """Rows of each table by token."""
    return {
        path.stem: {row["token"]: row for row in json.loads(path.read_text())}
        for path in (root / VERSION).glob("*.json")
    }


def _rigid(row):
    w, x, y, z = row["rotation"]
    assert np.hypot(np.hypot(w, x), np.hypot(y, z)) == pytest.approx(1)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = row["translation"]
    return matrix


def _sample_data(database, number, channel):
    """Row of a channel in a sample, with its calibration and the pose of the car."""
    times = sorted(row["timestamp"] for row in database["sample"].values())
    for row in database["sample_data"].values():
        calibration = database["calibrated_sensor"][row["calibrated_sensor_token"]]
        sensor = database["sensor"][calibration["sensor_token"]]
        sample = database["sample"][row["sample_token"]]
        if sensor["channel"] == channel and sample["timestamp"] == times[number]:
            return row, calibration, database["ego_pose"][row["ego_pose_token"]]
    raise AssertionError(f"no {channel} in sample {number}")


def _sweep(root, database, number):
    row, calibration, ego = _sample_data(database, number, "LIDAR_TOP")
    return (
        np.fromfile(root / row["filename"], "<f4").reshape(-1, 5),
        _rigid(calibration),
        _rigid(ego),
    )


def test_tables_are_those_of_the_schema(database):
    assert sorted(database) == sorted(constants.TABLES)
    fields = {
        "sample": {"token", "timestamp", "scene_token", "prev", "next"},
        "ego_pose": {"token", "timestamp", "rotation", "translation"},
        "instance": {
            "token",
            "category_token",
            "nbr_annotations",
            "first_annotation_token",
            "last_annotation_token",
        },
        "scene": {
            "token",
            "name",
            "description",
            "log_token",
            "nbr_samples",
            "first_sample_token",
            "last_sample_token",
        },
        "lidarseg": {"token", "sample_data_token", "filename"},
    }
    for table, names in fields.items():
        assert all(row.keys() == names for row in database[table].values())
    assert len(database["sample_data"]) == 2 * 7


def test_every_token_leads_to_a_row(database):
    table_of = {"log_tokens": "log", "attribute_tokens": "attribute"}
    table_of |= {f"{end}_sample_token": "sample" for end in ("first", "last")}
    table_of |= {f"{end}_annotation_token": "sample_annotation" for end in ("first", "last")}
    n_checked = 0
    for table, rows in database.items():
        for row in rows.values():
            for field, value in row.items():
                if field in ("prev", "next"):
                    assert value == "" or value in database[table]
                elif field.endswith(("_token", "_tokens")):
                    target = database[table_of.get(field, field.removesuffix("_token"))]
                    values = value if isinstance(value, list) else [value]
                    assert set(values) <= target.keys(), (table, field)
                    n_checked += len(values)
    assert n_checked > 100


@pytest.mark.parametrize(
    ("table", "owner"),
    [
        ("sample", "scene_token"),
        ("sample_data", "calibrated_sensor_token"),
        ("sample_annotation", "instance_token"),
    ],
)
def test_rows_are_linked_in_time(database, table, owner):
    def time(row):
        return row.get("timestamp") or database["sample"][row["sample_token"]]["timestamp"]

    rows = database[table]
    starts = [row for row in rows.values() if row["prev"] == ""]
    assert len(starts) == len({row[owner] for row in rows.values()})
    for row in rows.values():
        if row["next"]:
            after = rows[row["next"]]
            assert after["prev"] == row["token"]
            assert after[owner] == row[owner]
            assert time(after) - time(row) == 500_000


def test_points_of_a_sweep_are_in_the_frame_of_nuscenes(root, database, scenes):
    for number, scene in enumerate(scenes):
        points, calibration, ego = _sweep(root, database, number)
        assert_array_equal(points[:, 0], -scene.points[:, 1])  # x right
        assert_array_equal(points[:, 1], scene.points[:, 0])  # y ahead
        assert_array_equal(points[:, 2], scene.points[:, 2])
        assert_allclose(points[:, 3], 255 * scene.intensity, atol=0.5)
        world = points[:, :3] @ (ego @ calibration)[:3, :3].T + (ego @ calibration)[:3, 3]
        pose = scene.sensor_to_world
        assert_allclose(world, scene.points @ pose[:3, :3].T + pose[:3, 3], atol=1e-4)


def test_the_reader_of_nuscenes_gives_the_sweeps_back(root, scenes):
    sweeps = NuScenes(root, "street_0000", version=VERSION, cameras=True)
    check_dataset(sweeps)
    to_theirs = nuscenes_layout.TURN.T
    first = np.linalg.inv(sweeps[0].sensor_to_world), np.linalg.inv(scenes[0].sensor_to_world)
    for read, scene in zip(sweeps, scenes, strict=True):
        assert_array_equal(read.points, scene.points @ to_theirs[:3, :3].T.astype(np.float32))
        assert_allclose(read.intensity, scene.intensity, atol=0.5 / 255 + 1e-6)
        raw_ids = constants.raw_ids(np.arange(25))
        train = np.append(NUSCENES16.to_train(raw_ids), -1)  # -1 picks the last
        assert_array_equal(read.labels, train[scene.labels])
        between = first[1] @ scene.sensor_to_world
        expected = to_theirs @ between @ nuscenes_layout.TURN
        assert_allclose(first[0] @ read.sensor_to_world, expected, atol=1e-6)
        boxes = np.array(scene.boxes)
        boxes[:, :3] = boxes[:, :3] @ to_theirs[:3, :3].T
        assert_allclose(read.boxes[:, :6], boxes[:, :6], atol=1e-4)
        turned = np.exp(1j * (read.boxes[:, 6] - boxes[:, 6] - np.pi / 2))
        assert_allclose(turned, 1, atol=1e-4)
        assert_array_equal(read.boxes[:, 7], train[boxes[:, 7].astype(int)])
        for frame, source in zip(read.frames, scene.frames, strict=True):
            assert_allclose(frame.intrinsics, source.intrinsics)
            assert_allclose(frame.camera_to_world, to_theirs @ source.camera_to_world, atol=1e-6)
            assert np.abs(frame.image.astype(float) - source.image).mean() < 8  # JPEG
    merged = NuScenes(root, "street_0000", version=VERSION, n_sweeps=2)[1]
    assert np.unique(merged.times).tolist() == [-0.5, 0]


def test_rings_count_from_the_lowest_beam(root, database):
    points, *_ = _sweep(root, database, 0)
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    far = np.linalg.norm(points[:, :3], axis=1) > 15  # the car moves less than half a metre
    expected = -30.66 + points[far, 4] * 4 / 3
    assert np.abs(elevation[far] - expected).max() < 0.6
    assert set(np.unique(points[:, 4])) <= set(range(32))


def test_the_chain_of_poses_leads_to_the_pixels(root, database, scenes):
    for number, scene in enumerate(scenes):
        points, lidar, ego = _sweep(root, database, number)
        for frame, channel in zip(scene.frames, nuscenes_layout.CAMERAS, strict=True):
            row, calibration, ego_then = _sample_data(database, number, channel.name)
            to_camera = np.linalg.inv(_rigid(ego_then) @ _rigid(calibration)) @ ego @ lidar
            camera = points[:, :3] @ to_camera[:3, :3].T + to_camera[:3, 3]
            known = np.linalg.inv(frame.camera_to_world)
            assert_allclose(camera, scene.points @ known[:3, :3].T + known[:3, 3], atol=1e-4)
            assert_array_equal(calibration["camera_intrinsic"], frame.intrinsics)
            image = np.asarray(Image.open(root / row["filename"])).astype(int)
            assert image.shape == (row["height"], row["width"], 3) == frame.image.shape
            assert np.abs(image - frame.image).mean() < 12  # compressed
            offset = row["timestamp"] - database["sample"][row["sample_token"]]["timestamp"]
            assert offset == round(1e6 * channel.delay)
        assert not np.allclose(_rigid(ego_then), ego)


def test_labels_are_bytes_of_lidarseg(root, database, scenes):
    for number, scene in enumerate(scenes):
        row, *_ = _sample_data(database, number, "LIDAR_TOP")
        record = database["lidarseg"][row["token"]]
        assert record["filename"] == f"lidarseg/{VERSION}/{row['token']}_lidarseg.bin"
        ids = np.fromfile(root / record["filename"], np.uint8)
        train = NUSCENES16.to_train(ids)
        names = [name.removeprefix("moving-") for name in SEMANTICKITTI25.names]
        for name, expected in (
            ("car", "car"),
            ("road", "driveable_surface"),
            ("fence", "manmade"),
            ("trunk", "vegetation"),
            ("person", "pedestrian"),
        ):
            here = np.isin(scene.labels, [i for i, other in enumerate(names) if other == name])
            assert (train[here] == NUSCENES16.names.index(expected)).all()
        assert_array_equal(train == -1, scene.labels == -1)


def test_categories_are_in_the_order_of_lidarseg(database):
    rows = sorted(database["category"].values(), key=lambda row: row["index"])
    assert [row["index"] for row in rows] == list(range(32))
    names = [row["name"] for row in rows]
    assert (names[0], names[17], names[24], names[31]) == (
        "noise",
        "vehicle.car",
        "flat.driveable_surface",
        "vehicle.ego",
    )
    # The classes of the challenge are known by their raw ids; their names end alike.
    for raw, name in zip(NUSCENES16.raw_ids, NUSCENES16.names, strict=True):
        last = names[raw].split(".", 1)[1]
        alike = {"construction_vehicle": "construction", "traffic_cone": "trafficcone"}
        alike |= {"bus": "bus.rigid", "pedestrian": "pedestrian.adult", "other_flat": "other"}
        assert last == alike.get(name, name)


def test_annotations_are_the_boxes_in_the_world(database, scenes):
    times = sorted(row["timestamp"] for row in database["sample"].values())
    for number, scene in enumerate(scenes):
        rows = [
            row
            for row in database["sample_annotation"].values()
            if database["sample"][row["sample_token"]]["timestamp"] == times[number]
        ]
        assert len(rows) == len(scene.boxes)
        counts = np.unique(scene.instances[scene.instances >= 0], return_counts=True)[1]
        world_to_sensor = np.linalg.inv(scene.sensor_to_world)
        for row, box, count in zip(rows, scene.boxes, counts, strict=True):
            local = world_to_sensor @ _rigid(row)
            assert_allclose(local[:3, 3], box[:3], atol=1e-4)
            assert_allclose(local[:3, 0], [np.cos(box[6]), np.sin(box[6]), 0], atol=1e-5)
            assert_allclose(row["size"], box[[4, 3, 5]], rtol=1e-6)  # width, length, height
            assert row["num_lidar_pts"] == count
            instance = database["instance"][row["instance_token"]]
            category = database["category"][instance["category_token"]]
            assert category["index"] == constants.raw_ids(np.array([int(box[7])]))[0]


def test_instances_count_their_annotations(database):
    for token, row in database["instance"].items():
        mine = [a for a in database["sample_annotation"].values() if a["instance_token"] == token]
        assert row["nbr_annotations"] == len(mine)
        assert database["sample_annotation"][row["first_annotation_token"]]["prev"] == ""
        assert database["sample_annotation"][row["last_annotation_token"]]["next"] == ""
    assert any(row["nbr_annotations"] == 2 for row in database["instance"].values())


def test_attributes_tell_what_moves():
    names = SEMANTICKITTI25.names
    attributes = {name: constants.attribute(names.index(name)) for name in names[:8]}
    assert attributes["car"] == "vehicle.parked"
    assert attributes["bicycle"] == "cycle.without_rider"
    assert attributes["motorcyclist"] == "cycle.with_rider"
    assert attributes["person"] == "pedestrian.standing"
    assert constants.attribute(names.index("moving-car")) == "vehicle.moving"
    assert constants.attribute(names.index("moving-person")) == "pedestrian.moving"
    assert constants.attribute(names.index("moving-bicyclist")) == "cycle.with_rider"


def test_tokens_are_the_same_each_time(streets, root, tmp_path):
    write_nuscenes_layout(streets, tmp_path / "again", VERSION)
    for name in ("sample_data", "sample_annotation"):
        again = (tmp_path / "again" / VERSION / f"{name}.json").read_bytes()
        assert again == (root / VERSION / f"{name}.json").read_bytes()


def test_without_cameras_there_is_only_the_lidar(tmp_path):
    plain = SyntheticStreets(1, n_sweeps=1, beams=32, cache=tmp_path / "cache")
    write_nuscenes_layout(plain, tmp_path / "plain")
    text = (tmp_path / "plain" / "v1.0-mini" / "sensor.json").read_text()
    assert [row["channel"] for row in json.loads(text)] == ["LIDAR_TOP"]
    assert [path.name for path in (tmp_path / "plain" / "samples").iterdir()] == ["LIDAR_TOP"]


def test_rejects_a_folder_that_exists(streets, tmp_path):
    with pytest.raises(FileExistsError, match="must not exist yet"):
        write_nuscenes_layout(streets, tmp_path)


def test_nothing_is_left_of_a_folder_that_fails(streets, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(nuscenes_layout, "_link", fail)
    with pytest.raises(OSError, match="no space left"):
        write_nuscenes_layout(streets, tmp_path / "nuscenes")
    assert list(tmp_path.iterdir()) == []
