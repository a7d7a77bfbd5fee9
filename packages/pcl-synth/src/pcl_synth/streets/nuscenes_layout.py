"""Synthetic streets as files in the layout of nuScenes with lidarseg.

Layout and conventions of the nuScenes devkit (Caesar et al., "nuScenes", CVPR 2020; schema of its
docs/schema_nuscenes.md): tables of JSON in `<version>/`; `samples/LIDAR_TOP/*.pcd.bin` of float32
x, y, z, intensity (0-255), ring (0 the lowest); `samples/CAM_*/*.jpg`; `lidarseg/<version>/
<token>_lidarseg.bin` of uint8. The LiDAR's frame is x right, y ahead, z up; rotations are
quaternions w, x, y, z; sizes are width, length, height.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy.spatial.transform import Rotation

from pcl_data.atomic_files import whole_file, whole_folder, write_whole
from pcl_data.label_tables import NUSCENES_CATEGORIES
from pcl_data.scene import Scene
from pcl_synth.streets import nuscenes_constants as constants
from pcl_synth.streets.cameras import CAMERAS, IMAGE_SIZE
from pcl_synth.streets.dataset import SyntheticStreets, drive_of
from pcl_synth.streets.lidar import MOUNT, PERIOD, beams_of
from pcl_synth.streets.road import Drive
from pcl_synth.streets.street import LABELS

TURN = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # to our LiDAR frame
_EPOCH = 1_600_000_000_000_000  # microseconds
Row = dict[str, Any]


def write_nuscenes_layout(
    streets: SyntheticStreets, root: str | os.PathLike[str], version: str = "v1.0-mini"
) -> None:
    """Write streets as a new folder that readers of nuScenes read, whole or not at all.

    Every sweep is a key frame; take `stride=5` for the two a second of nuScenes. Classes become
    those of `nuscenes_constants.RAW_IDS`. Visibility is not measured: it is always the highest.

    Args:
        streets: what to write; missing sweeps are made. Images are written if it has cameras.
        root: the folder to make.
        version: name of the folder of the tables.

    Raises:
        FileExistsError: if `root` exists.
    """
    with whole_folder(root) as folder:
        writer = _Writer(streets, folder, version)
        scenes, n_sweeps = streets.with_labels(LABELS), len(streets.ticks)
        for sequence in range(len(streets) // n_sweeps):
            writer.begin(sequence)
            for sweep, tick in enumerate(streets.ticks):
                writer.add(scenes[sequence * n_sweeps + sweep], tick)
        writer.finish()


class _Writer:
    """The tables that grow with each sweep; their rows are linked when all are there."""

    def __init__(self, streets: SyntheticStreets, folder: Path, version: str) -> None:
        self.seed, self.beams, self.folder, self.version = (
            streets.seed,
            streets.beams,
            folder,
            version,
        )
        self.channels = ["LIDAR_TOP"] + [camera.name for camera in CAMERAS if streets.cameras]
        self.tables: dict[str, list[Row]] = {name: [] for name in constants.TABLES}
        for index, name in enumerate(NUSCENES_CATEGORIES):
            self._row("category", name, name=name, description="", index=index)
        for name in constants.ATTRIBUTES:
            self._row("attribute", name, name=name, description="")
        for token, level in enumerate(constants.VISIBILITIES, start=1):
            row = {"token": str(token), "level": level, "description": ""}
            self.tables["visibility"].append(row)
        for channel in self.channels:
            modality = "lidar" if channel == "LIDAR_TOP" else "camera"
            self._row("sensor", channel, channel=channel, modality=modality)
        self.sequence, self.drive = -1, drive_of(self.seed, 0)

    def begin(self, sequence: int) -> None:
        """Start a scene, with a log and calibrations of its own."""
        self.sequence, self.drive = sequence, drive_of(self.seed, sequence)
        name = f"street_{sequence:04d}"
        log = self._row(
            "log",
            name,
            logfile=name,
            vehicle="synthetic",
            date_captured="2020-09-13",
            location="synthetic",
        )
        self._row("scene", name, name=name, description="", log_token=log)
        mounts = {"LIDAR_TOP": MOUNT @ TURN} | {c.name: c.mount for c in CAMERAS}
        intrinsics = {camera.name: camera.intrinsics.tolist() for camera in CAMERAS}
        for channel in self.channels:
            self._row(
                "calibrated_sensor",
                f"{sequence}/{channel}",
                sensor_token=self._token("sensor", channel),
                **_rigid(mounts[channel]),
                camera_intrinsic=intrinsics.get(channel, []),
            )

    def add(self, scene: Scene, tick: int) -> None:
        """Write a sweep, its images and its boxes."""
        key, time = f"{self.sequence}/{tick}", self._microseconds(tick * PERIOD)
        scene_token = self._token("scene", f"street_{self.sequence:04d}")
        self._row("sample", key, timestamp=time, scene_token=scene_token)
        name = f"samples/LIDAR_TOP/street_{self.sequence:04d}__LIDAR_TOP__{time}.pcd.bin"
        data = self._sample_data(key, "LIDAR_TOP", tick * PERIOD, name, "pcd", (0, 0))
        write_whole(self.folder / name, _sweep_bytes(scene, self.drive, tick * PERIOD, self.beams))
        labels = f"lidarseg/{self.version}/{data}_lidarseg.bin"
        assert scene.labels is not None
        write_whole(
            self.folder / labels, constants.raw_ids(scene.labels).astype(np.uint8).tobytes()
        )
        row = {"token": data, "sample_data_token": data, "filename": labels}
        self.tables["lidarseg"].append(row)
        for camera, frame in zip(CAMERAS, scene.frames, strict=False):
            seconds = tick * PERIOD + camera.delay
            stem = f"street_{self.sequence:04d}__{camera.name}__{self._microseconds(seconds)}"
            name = f"samples/{camera.name}/{stem}.jpg"
            self._sample_data(key, camera.name, seconds, name, "jpg", IMAGE_SIZE)
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                Image.fromarray(frame.image).save(file, format="JPEG", quality=95)
        self._annotate(key, scene)

    def finish(self) -> None:
        """Link the rows and write the tables."""
        _link(self.tables["sample"], "scene_token")
        _link(self.tables["sample_data"], "calibrated_sensor_token")
        _link(self.tables["sample_annotation"], "instance_token")
        _span(self.tables["scene"], self.tables["sample"], "scene_token", "sample", "samples")
        annotations = self.tables["sample_annotation"]
        _span(self.tables["instance"], annotations, "instance_token", "annotation", "annotations")
        logs = [row["token"] for row in self.tables["log"]]
        self._row(
            "map", "map", log_tokens=logs, category="semantic_prior", filename="maps/none.png"
        )
        (self.folder / "maps").mkdir()
        with whole_file(self.folder / "maps" / "none.png") as file:
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(file, format="PNG")
        for name, rows in self.tables.items():
            text = json.dumps(rows, indent=0) + "\n"
            write_whole(self.folder / self.version / f"{name}.json", text.encode())

    def _sample_data(
        self,
        key: str,
        channel: str,
        seconds: float,
        name: str,
        suffix: str,
        size: tuple[int, int],
    ) -> str:
        """Row of a file with the pose of the car at its own time; its token."""
        time = self._microseconds(seconds)
        (car,) = self.drive.poses(np.array([seconds]))
        token = f"{key}/{channel}"
        return self._row(
            "sample_data",
            token,
            sample_token=self._token("sample", key),
            ego_pose_token=self._row("ego_pose", token, timestamp=time, **_rigid(car)),
            calibrated_sensor_token=self._token("calibrated_sensor", f"{self.sequence}/{channel}"),
            timestamp=time,
            fileformat=suffix,
            is_key_frame=True,
            width=size[0],
            height=size[1],
            filename=name,
        )

    def _annotate(self, key: str, scene: Scene) -> None:
        """Boxes of a sweep in the world; a thing that is new becomes an instance."""
        assert scene.instances is not None
        assert scene.boxes is not None
        numbers, counts = np.unique(scene.instances[scene.instances >= 0], return_counts=True)
        known = {row["token"] for row in self.tables["instance"]}
        for number, count, box in zip(numbers.tolist(), counts.tolist(), scene.boxes, strict=True):
            label = int(box[7])
            instance = self._token("instance", f"{self.sequence}/{number}")
            if instance not in known:
                category = NUSCENES_CATEGORIES[int(constants.raw_ids(np.array([label]))[0])]
                token = self._token("category", category)
                self._row("instance", f"{self.sequence}/{number}", category_token=token)
            length, width, height = box[3:6].tolist()
            self._row(
                "sample_annotation",
                f"{key}/{number}",
                sample_token=self._token("sample", key),
                instance_token=instance,
                visibility_token="4",
                attribute_tokens=[self._token("attribute", constants.attribute(label))],
                **_rigid(_box_pose(box, scene)),
                size=[width, length, height],
                num_lidar_pts=count,
                num_radar_pts=0,
            )

    def _row(self, table: str, key: str, **fields: Any) -> str:
        token = self._token(table, key)
        self.tables[table].append({"token": token, **fields})
        return token

    def _token(self, table: str, key: str) -> str:
        """32 hexadecimal digits, the same each time."""
        text = f"{self.seed}/{table}/{key}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _microseconds(self, seconds: float) -> int:
        return _EPOCH + self.sequence * 1_000_000_000 + round(seconds * 1_000_000)


def _sweep_bytes(scene: Scene, drive: Drive, seconds: float, beams: int) -> bytes:
    assert scene.intensity is not None
    assert scene.times is not None
    points, times = np.array(scene.points), np.array(scene.times)
    rings = beams - 1 - beams_of(points, times, drive, seconds, beams)
    columns = (points @ TURN[:3, :3], np.round(255 * scene.intensity), rings)
    return np.column_stack(columns).astype("<f4").tobytes()


def _box_pose(box: Float[np.ndarray, " 8"], scene: Scene) -> Float[np.ndarray, "4 4"]:
    """Where a box is in the world."""
    local = np.eye(4)
    cos, sin = np.cos(float(box[6])), np.sin(float(box[6]))
    local[:2, :2], local[:3, 3] = [[cos, -sin], [sin, cos]], box[:3]
    assert scene.sensor_to_world is not None
    return scene.sensor_to_world @ local


def _rigid(pose: Float[np.ndarray, "4 4"]) -> Row:
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    return {"translation": pose[:3, 3].tolist(), "rotation": [w, x, y, z]}


def _link(rows: list[Row], field: str) -> None:
    """Give each row the tokens of the rows before and after it with the same value of a field."""
    for chain in _chains(rows, field).values():
        tokens = ["", *(row["token"] for row in chain), ""]
        for row, before, after in zip(chain, tokens, tokens[2:], strict=False):
            row |= {"prev": before, "next": after}


def _span(owners: list[Row], rows: list[Row], field: str, one: str, many: str) -> None:
    """Give each owner the number of its rows and the tokens of the first and the last."""
    chains = _chains(rows, field)
    for owner in owners:
        chain = chains[owner["token"]]
        owner[f"nbr_{many}"] = len(chain)
        owner[f"first_{one}_token"] = chain[0]["token"]
        owner[f"last_{one}_token"] = chain[-1]["token"]


def _chains(rows: list[Row], field: str) -> dict[str, list[Row]]:
    chains: dict[str, list[Row]] = {}
    for row in rows:
        chains.setdefault(row[field], []).append(row)
    return chains
