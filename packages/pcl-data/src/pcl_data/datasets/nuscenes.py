"""nuScenes: key frames of the LiDAR with the labels of lidarseg, six cameras and boxes.

Caesar et al., CVPR 2020; Fong et al., "Panoptic nuScenes", RA-L 2022; layout and splits as in the
devkit, version 1.2.0.
"""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from pcl_data.datasets.file_dataset import FileDataset
from pcl_data.datasets.nuscenes_splits import SPLITS, scene_names
from pcl_data.datasets.nuscenes_tables import TABLES, Reading, load_key_frames, load_samples
from pcl_data.datasets.selection import few
from pcl_data.file_errors import errors_in
from pcl_data.label_set import IGNORE_INDEX, NUSCENES16
from pcl_data.readers.lidar_labels import check_length, read_nuscenes_lidarseg
from pcl_data.readers.lidar_sweep import read_sweep
from pcl_data.readers.records import read_image
from pcl_data.rigid import quaternion_rotation, transform_points
from pcl_data.scene import Frame, LazyFrames, Scene

MIN_DISTANCE = 1.0  # metres, of points of past sweeps along x or y: nearer ones are the vehicle
_MICROSECONDS = 1e-6


class NuScenes(FileDataset):
    """Key frames of nuScenes, named by the token of their sample.

    `points` and `boxes` are in the frame of the LiDAR at the key frame: x right, y forward, z up,
    the road about 1.8 m below. `sensor_to_world` leads to the map. Frames are the six cameras; each
    has its own time, so `camera_to_world` goes through the pose of the vehicle at that time and at
    the time of the sweep. Boxes have the heading of their length in the xy plane of the LiDAR, and
    train id -1 if their category is not in `NUSCENES16`. Instances are not read.

    With `n_sweeps`, the points of the sweeps before the key frame follow its own, moved into its
    LiDAR frame by the poses, with label -1; `times` are relative to the key frame, at most 0. As in
    the devkit, points of past sweeps with |x| and |y| below 1 m at their own time are left out, and
    a scene that has just begun has fewer sweeps. Unlike there, the key frame keeps all its points:
    its labels are counted by them.

    Needed are the tables in `root/VERSION`, the files that they name, and
    `lidarseg/VERSION/TOKEN_lidarseg.bin`, but for `v1.0-test`, which has no labels. Without
    `sample_annotation.json` scenes have no boxes.

    Args:
        root: folder of the data set.
        split: `train`, `val`, `test`, `mini_train`, `mini_val`, the name of a scene
            (`scene-0061`), or tokens of samples, or a pattern of either.
        version: `v1.0-trainval`, `v1.0-test` or `v1.0-mini`, the one that has the split.
        n_sweeps: sweeps of a scene, the key frame included.
        cameras: whether scenes have the six images as frames.
        **options: as of `FileDataset`.

    Raises:
        ValueError: if `split` or an option is none of the above, `n_sweeps` is below 1, or a table
            is broken.
        FileNotFoundError: if files are missing.
    """

    title = "nuScenes"
    source = "nuscenes.org (full dataset and nuScenes-lidarseg)"
    splits = SPLITS
    label_sets = (NUSCENES16,)

    def __init__(
        self,
        root: str | PathLike[str],
        split: str | Sequence[str] = "train",
        *,
        version: str = "v1.0-trainval",
        n_sweeps: int = 1,
        cameras: bool = False,
        **options: Any,
    ) -> None:
        if n_sweeps < 1:
            raise ValueError(f"n_sweeps must be at least 1, got {n_sweeps}")
        self.version = version
        self.n_sweeps = n_sweeps
        self.cameras = cameras
        self._folder = Path(root) / version
        self.require(Path(root), (self._folder / f"{table}.json" for table in TABLES))
        self._scene_of = load_samples(self._folder)
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Samples of the scenes of an official split."""
        scenes = set(scene_names(split))
        absent = sorted(scenes - set(self._scene_of.values()))
        if absent:
            raise ValueError(
                f"{self._folder / 'scene.json'}: must hold a row for {few(absent)} of the split "
                f"{split!r}, got none; is it in another version than {self.version}?"
            )
        return [sample for sample, scene in self._scene_of.items() if scene in scenes]

    def every_name(self) -> Sequence[str]:
        """All samples."""
        return list(self._scene_of)

    def group_of(self, name: str) -> str:
        """The scene."""
        return self._scene_of[name]

    def load_tables(self) -> None:
        """Join the tables to the key frames of the chosen samples."""
        self._key_frames = load_key_frames(
            self._folder,
            self.names,
            self._scene_of,
            n_sweeps=self.n_sweeps,
            cameras=self.cameras,
        )

    def lidar_token(self, name: str) -> str:
        """Token of the LiDAR sweep of a scene, by which submissions name it."""
        return self._key_frames[name].lidar.token

    def files(self, name: str) -> tuple[Path, ...]:
        """Sweeps, images and labels, as far as needed."""
        frame = self._key_frames[name]
        readings = (frame.lidar, *frame.sweeps, *frame.cameras.values())
        labels = self._labels(name)
        paths = (self.root / reading.filename for reading in readings)
        return (*paths, *(() if labels is None else (labels,)))

    def read(self, name: str) -> Scene:
        """The key frame of a sample token.

        Raises:
            ValueError: naming the file or the row that is broken and the rule it breaks.
        """
        frame = self._key_frames[name]
        lidar_to_world = frame.lidar.sensor_to_world()
        sweeps = [self._sweep(reading, frame.lidar) for reading in (frame.lidar, *frame.sweeps)]
        points, intensity, times = (np.concatenate(parts) for parts in zip(*sweeps, strict=True))
        path = self._labels(name)
        labels = None
        if path is not None:
            labels = read_nuscenes_lidarseg(path)
            check_length(path, labels, len(sweeps[0][0]))
            labels = np.pad(labels, (0, len(points) - len(labels)), constant_values=IGNORE_INDEX)
        boxes = None
        if frame.boxes is not None:
            with errors_in(f"sample_annotation of {name}"):
                boxes = boxes_in(np.linalg.inv(lidar_to_world), frame.boxes)
        return Scene(
            name,
            points,
            labels=labels,
            boxes=boxes,
            frames=LazyFrames(tuple(frame.cameras), partial(self._frame, name)),
            label_set=self.label_set,
            intensity=intensity,
            times=times if self.n_sweeps > 1 else None,
            sensor_to_world=lidar_to_world,
        )

    def _labels(self, name: str) -> Path | None:
        if self.version == "v1.0-test" or not self.has_labels:
            return None
        return self.root / "lidarseg" / self.version / f"{self.lidar_token(name)}_lidarseg.bin"

    def _sweep(self, reading: Reading, key: Reading) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points in the frame of the key frame, their intensities and times."""
        points, intensity = read_sweep(self.root / reading.filename, 5, 255)
        if reading is not key:
            is_far = (np.abs(points[:, :2]) >= MIN_DISTANCE).any(axis=1)
            to_key = np.linalg.inv(key.sensor_to_world()) @ reading.sensor_to_world()
            points = transform_points(to_key, points[is_far]).astype(np.float32)
            intensity = intensity[is_far]
        seconds = (reading.timestamp - key.timestamp) * _MICROSECONDS
        return points, intensity, np.full(len(points), seconds, np.float32)

    def _frame(self, name: str, channel: str) -> Frame:
        key = self._key_frames[name]
        camera = key.cameras[channel]
        camera_to_lidar = np.linalg.inv(key.lidar.sensor_to_world()) @ camera.sensor_to_world()
        image = read_image(self.root / camera.filename)
        return Frame(image, None, camera.sensor.intrinsics, camera_to_lidar)


def boxes_in(
    world_to_lidar: Float64[np.ndarray, "4 4"], boxes: Float64[np.ndarray, "k 11"]
) -> Float32[np.ndarray, "k 8"]:
    """Boxes of `KeyFrame.boxes` in the frame of the LiDAR, in the form of `Scene.boxes`.

    Raises:
        ValueError: if a quaternion is none.
    """
    along = [quaternion_rotation(box[6:10])[:, 0] for box in boxes]
    x, y, _ = world_to_lidar[:3, :3] @ np.array(along).reshape(-1, 3).T
    width, length, height = boxes[:, 3:6].T
    centres = transform_points(world_to_lidar, boxes[:, :3])
    columns = [length, width, height, np.arctan2(y, x), boxes[:, 10]]
    return np.column_stack([centres, *columns]).astype(np.float32)
