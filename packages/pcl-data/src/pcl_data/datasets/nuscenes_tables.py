"""The tables of nuScenes, joined to the key frames that are asked for.

Schema: docs/schema_nuscenes.md of the devkit (Caesar et al., "nuScenes: A multimodal dataset for
autonomous driving", CVPR 2020). Each table is read once and gives only the rows and fields that are
needed: those of the whole data set hold millions of rows.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import NUSCENES16
from pcl_data.label_tables import NUSCENES_CATEGORIES
from pcl_data.rigid import quaternion_rotation, rigid

LIDAR = "LIDAR_TOP"
CAMERAS = (
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_RIGHT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
    "CAM_FRONT_LEFT",
)
_SAMPLE_DATA = (
    "token",
    "sample_token",
    "ego_pose_token",
    "calibrated_sensor_token",
    "timestamp",
    "is_key_frame",
    "filename",
)
TABLES = ("scene", "sample", "sample_data", "calibrated_sensor", "ego_pose", "sensor")
# What JSON holds in a field; a string where nothing is said.
_KINDS: dict[str, type] = dict.fromkeys(
    ("translation", "rotation", "size", "camera_intrinsic"), list
) | {"timestamp": int, "is_key_frame": bool}
_BOX_CATEGORIES = NUSCENES_CATEGORIES[1:24]


@dataclass(frozen=True, eq=False)
class Sensor:
    """One calibration of a sensor: each vehicle and drive has its own.

    Attributes:
        channel: such as `LIDAR_TOP`.
        to_ego: its pose on the vehicle.
        intrinsics: camera matrix in pixels; zeros of a LiDAR.
    """

    channel: str
    to_ego: Float64[np.ndarray, "4 4"]
    intrinsics: Float64[np.ndarray, "3 3"]


@dataclass(frozen=True)
class Reading:
    """What one sensor measured at one time, and where it was.

    Attributes:
        token: of the row of `sample_data`.
        filename: of the measurement, below the root of the data set.
        timestamp: microseconds.
        sensor: what measured.
        ego_pose: translation and quaternion of the vehicle at this time, unchecked.
    """

    token: str
    filename: str
    timestamp: int
    sensor: Sensor
    ego_pose: tuple[Any, Any]

    def sensor_to_world(self) -> Float64[np.ndarray, "4 4"]:
        """The pose of the sensor.

        Raises:
            ValueError: naming the reading, if the pose of the vehicle is none.
        """
        with errors_in(f"sample_data {self.token}"), library_errors("pose"):
            return _pose(*self.ego_pose) @ self.sensor.to_ego


@dataclass(frozen=True)
class KeyFrame:
    """One annotated sweep and what belongs to it.

    Attributes:
        lidar: the sweep.
        sweeps: those before it, the latest first.
        cameras: the images of the same time by channel, in the order of `CAMERAS`.
        boxes: (k, 11) centre, width, length, height (metres), quaternion w, x, y, z, train id; in
            the world. None where none of the key frames that were asked for is annotated.
    """

    lidar: Reading
    sweeps: tuple[Reading, ...]
    cameras: dict[str, Reading]
    boxes: Float64[np.ndarray, "k 11"] | None


def load_samples(folder: Path) -> dict[str, str]:
    """Name of the scene of each sample token, in the order of scenes and times.

    Raises:
        FileNotFoundError: if a table is missing.
        ValueError: naming the table that is broken, or lacks a row or a field that is needed.
    """
    path = folder / "scene.json"
    scenes = {row["token"]: row["name"] for row in read_table(path, ("name", "token"))}
    rows = read_table(folder / "sample.json", ("token", "timestamp", "scene_token"))
    named = [(_find(scenes, row["scene_token"], path), row["timestamp"], row) for row in rows]
    named.sort(key=lambda sample: sample[:2])
    return {row["token"]: name for name, _, row in named}


def load_key_frames(
    folder: Path,
    samples: Sequence[str],
    scene_of: Mapping[str, str],
    *,
    n_sweeps: int,
    cameras: bool,
) -> dict[str, KeyFrame]:
    """Key frames by sample token, in the order that is given.

    Args:
        folder: the tables.
        samples: tokens of the samples.
        scene_of: scene of each sample there is, as of `load_samples`.
        n_sweeps: sweeps of a key frame, itself included; there are fewer when its scene begins.
        cameras: whether key frames have `cameras`.

    Raises:
        FileNotFoundError: if a table is missing.
        ValueError: naming the table that is broken, or lacks a row or a field that is needed.
    """
    wanted = set(samples)
    scenes = {scene_of[sample] for sample in samples}
    neighbours = {sample for sample, scene in scene_of.items() if scene in scenes}
    channels = (LIDAR, *CAMERAS) if cameras else (LIDAR,)
    sensors = _sensors(folder, channels)

    def is_needed(row: dict[str, Any]) -> bool:
        sensor = sensors.get(row["calibrated_sensor_token"])
        if sensor is None:
            return False
        if row["is_key_frame"] and row["sample_token"] in wanted:
            return True
        return n_sweeps > 1 and sensor.channel == LIDAR and row["sample_token"] in neighbours

    fields = (*_SAMPLE_DATA, "prev") if n_sweeps > 1 else _SAMPLE_DATA
    path = folder / "sample_data.json"
    rows = read_table(path, fields, is_needed)
    readings = _readings(folder, rows, sensors)
    keys = {
        (row["sample_token"], readings[row["token"]].sensor.channel): readings[row["token"]]
        for row in rows
        if row["is_key_frame"]
    }
    previous = {row["token"]: row.get("prev") for row in rows}
    boxes = _boxes(folder, wanted)

    def key_frame(sample: str) -> KeyFrame:
        at = {channel: _find(keys, (sample, channel), path) for channel in channels}
        lidar = at.pop(LIDAR)
        sweeps: list[Reading] = []
        while len(sweeps) < n_sweeps - 1 and (token := previous[(sweeps or [lidar])[-1].token]):
            sweeps.append(_find(readings, token, path))
        return KeyFrame(lidar, tuple(sweeps), at, None if boxes is None else boxes[sample])

    return {sample: key_frame(sample) for sample in samples}


def read_table(
    path: Path, fields: Iterable[str], keep: Callable[[dict[str, Any]], bool] | None = None
) -> list[dict[str, Any]]:
    """The named fields of those rows of a table that `keep` wants.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no table, or a row lacks a field or has another kind of value in it.
    """

    def reduced(row: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return {field: row[field] for field in fields} if keep is None or keep(row) else None
        except KeyError as error:
            raise ValueError(f"a row without {error.args[0]}") from error

    with errors_in(path), library_errors("JSON"):
        rows = json.loads(path.read_text(encoding="utf-8"), object_hook=reduced)
        if not isinstance(rows, list) or any(not isinstance(row, dict | None) for row in rows):
            raise ValueError("no list of rows")
    rows = [row for row in rows if row is not None]
    for row in rows:
        for field, value in row.items():
            kind = _KINDS.get(field, str)
            if type(value) is not kind:
                raise ValueError(f"{path}: {field} must be of type {kind.__name__}, got {value!r}")
    return rows


def _sensors(folder: Path, channels: Iterable[str]) -> dict[str, Sensor]:
    """Those of the channels, by token of `calibrated_sensor`."""
    rows = read_table(folder / "sensor.json", ("token", "channel"))
    channel_of = {row["token"]: row["channel"] for row in rows if row["channel"] in channels}
    path = folder / "calibrated_sensor.json"
    fields = ("token", "sensor_token", "translation", "rotation", "camera_intrinsic")
    rows = read_table(path, fields, lambda row: row["sensor_token"] in channel_of)
    sensors = {}
    with errors_in(path), library_errors("table of calibrations"):
        for row in rows:
            channel = channel_of[row["sensor_token"]]
            pose = _pose(row["translation"], row["rotation"])
            matrix = np.zeros((3, 3))
            if channel != LIDAR:
                matrix = np.array(row["camera_intrinsic"], np.float64).reshape(3, 3)
            sensors[row["token"]] = Sensor(channel, pose, matrix)
    return sensors


def _readings(
    folder: Path, rows: list[dict[str, Any]], sensors: dict[str, Sensor]
) -> dict[str, Reading]:
    """Rows of `sample_data` with their poses, by token."""
    path = folder / "ego_pose.json"
    needed = {row["ego_pose_token"] for row in rows}
    fields = ("token", "translation", "rotation")
    poses = read_table(path, fields, lambda row: row["token"] in needed)
    pose_of = {row["token"]: (row["translation"], row["rotation"]) for row in poses}
    readings = {}
    for row in rows:
        sensor = sensors[row["calibrated_sensor_token"]]
        pose = _find(pose_of, row["ego_pose_token"], path)
        token = row["token"]
        readings[token] = Reading(token, row["filename"], row["timestamp"], sensor, pose)
    return readings


def _boxes(folder: Path, samples: set[str]) -> dict[str, Float64[np.ndarray, "k 11"]] | None:
    path = folder / "sample_annotation.json"
    if not path.is_file():
        return None
    fields = ("sample_token", "instance_token", "translation", "size", "rotation")
    rows = read_table(path, fields, lambda row: row["sample_token"] in samples)
    if not rows:  # the table of v1.0-test is empty
        return None
    categories = read_table(folder / "category.json", ("token", "name"))
    label_of = {row["token"]: _box_label(row["name"]) for row in categories}
    instances = read_table(folder / "instance.json", ("token", "category_token"))
    category_of = {row["token"]: row["category_token"] for row in instances}
    boxes: dict[str, list[list[float]]] = {sample: [] for sample in samples}
    for row in rows:
        category = _find(category_of, row["instance_token"], folder / "instance.json")
        label = _find(label_of, category, folder / "category.json")
        numbers = [*row["translation"], *row["size"], *row["rotation"], label]
        boxes[row["sample_token"]].append(numbers)
    with errors_in(path), library_errors("table of boxes"):
        return {key: np.array(rows, np.float64).reshape(-1, 11) for key, rows in boxes.items()}


def _box_label(category: str) -> int:
    """Train id; -1 for categories outside of `NUSCENES16`, those of points only among them."""
    if category not in _BOX_CATEGORIES:
        return -1
    return int(NUSCENES16.to_train(np.array([NUSCENES_CATEGORIES.index(category)]))[0])


def _pose(translation: Any, rotation: Any) -> Float64[np.ndarray, "4 4"]:
    quaternion = np.array(rotation, np.float64)
    return rigid(quaternion_rotation(quaternion), np.array(translation, np.float64))


def _find(table: dict[Any, Any], key: Any, path: Path) -> Any:
    if key not in table:
        raise ValueError(f"{path}: must hold a row for {key}, got none")
    return table[key]
