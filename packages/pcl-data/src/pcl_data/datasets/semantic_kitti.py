"""SemanticKITTI: the sweeps of the KITTI odometry sequences, labeled point by point.

Behley et al., "SemanticKITTI: A Dataset for Semantic Scene Understanding of LiDAR Sequences", ICCV
2019; layout, splits and poses as in semantic-kitti-api at commit a9c749e.
"""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import FileDataset, visible
from pcl_data.file_errors import errors_in
from pcl_data.label_set import SEMANTICKITTI19, SEMANTICKITTI25
from pcl_data.readers.kitti_calibration import pinhole, read_kitti_calibration, read_kitti_poses
from pcl_data.readers.lidar_labels import check_length, read_semantickitti_labels
from pcl_data.readers.lidar_sweep import read_sweep
from pcl_data.readers.records import read_image
from pcl_data.rigid import rigid
from pcl_data.scene import Frame, LazyFrames, Scene

SEQUENCES = {  # of each split; a single sequence is one too
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "val": ("08",),
    "test": tuple(str(number) for number in range(11, 22)),
    **{f"{number:02d}": (f"{number:02d}",) for number in range(22)},
}
_CALIBRATION = {"P2": (3, 4), "Tr": (3, 4)}


class SemanticKitti(FileDataset):
    """Sweeps of SemanticKITTI, named `08/000000` for sequence and number.

    `points` are in the frame of the LiDAR: x forward, y left, z up, the road about 1.7 m below.
    `sensor_to_world` leads to the LiDAR frame of the first sweep of the sequence. Instances are
    objects of the things, of a number that stays with the object through the sequence.

    Needed are `sequences/NN/` with `velodyne/`, `calib.txt`, `poses.txt`, `labels/` (but for the
    sequences of the test split, which have none) and, for cameras, `image_2/`.

    Args:
        root: folder that holds `sequences`.
        split: `train` (00-07, 09, 10), `val` (08), `test` (11-21), a sequence (`08`), a name
            (`08/000000`) or a pattern (`08/0000*`) of sweeps, or several of these.
        cameras: whether scenes have the image of the left colour camera as a frame.
        **options: as of `FileDataset`; `label_set=SEMANTICKITTI25` tells moving from standing.

    Raises:
        ValueError: if `split` or an option is none of the above.
        FileNotFoundError: if files are missing; an official split takes every sweep in `velodyne`
            of its sequences, so each must have its label.
    """

    title = "SemanticKITTI"
    source = "semantic-kitti.org (labels) and the KITTI odometry benchmark (the other files)"
    splits = tuple(SEQUENCES)
    label_sets = (SEMANTICKITTI19, SEMANTICKITTI25)
    name_form = r"\d\d/\d{6}"

    def __init__(
        self,
        root: str | PathLike[str],
        split: str | Sequence[str] = "train",
        *,
        cameras: bool = False,
        **options: Any,
    ) -> None:
        self.cameras = cameras
        self._trajectories: dict[str, np.ndarray] = {}  # poses of the sequences read so far
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Sweeps of the sequences of a split."""
        folders = [self.root / "sequences" / sequence for sequence in SEQUENCES[split]]
        return _sweeps(self.listed(folders, "velodyne/*.bin"))

    def every_name(self) -> Sequence[str]:
        """Sweeps of all sequences."""
        return _sweeps(visible(self.root / "sequences", "*/velodyne/*.bin"))

    def files(self, name: str) -> tuple[Path, ...]:
        """Sweep, calibration, poses, labels and image, as far as needed."""
        folder, number = self._place(name)
        paths = [folder / "velodyne" / f"{number}.bin", folder / "calib.txt", folder / "poses.txt"]
        if self._is_labeled(folder):
            paths.append(folder / "labels" / f"{number}.label")
        if self.cameras:
            paths.append(folder / "image_2" / f"{number}.png")
        return tuple(paths)

    def read(self, name: str) -> Scene:
        """The sweep of a name.

        Raises:
            ValueError: naming the file that is broken and the rule it breaks.
        """
        folder, number = self._place(name)
        points, intensity = read_sweep(folder / "velodyne" / f"{number}.bin", 4, 1)
        labels = instances = None
        assert self.label_set is not None
        if self._is_labeled(folder):
            path = folder / "labels" / f"{number}.label"
            labels, instances = read_semantickitti_labels(path, self.label_set)
            check_length(path, labels, len(points))
        return Scene(
            name,
            points,
            labels=labels,
            instances=instances,
            frames=LazyFrames(("image_2",), partial(self._frame, name)) if self.cameras else (),
            label_set=self.label_set,
            intensity=intensity,
            sensor_to_world=self._pose(folder, int(number)),
        )

    def _is_labeled(self, folder: Path) -> bool:
        return self.has_labels and folder.name not in SEQUENCES["test"]

    def _place(self, name: str) -> tuple[Path, str]:
        sequence, number = name.split("/")
        return self.root / "sequences" / sequence, number

    def _pose(self, folder: Path, number: int) -> Float64[np.ndarray, "4 4"]:
        """The pose of the LiDAR, of that of camera 0: both begin a sequence at their identity."""
        path = folder / "poses.txt"
        if folder.name not in self._trajectories:
            self._trajectories[folder.name] = read_kitti_poses(path)
        poses = self._trajectories[folder.name]
        with errors_in(path):
            if number >= len(poses):
                raise ValueError(f"must hold a row for sweep {number}, got {len(poses)} rows")
            pose = rigid(poses[number, :, :3], poses[number, :, 3])
        lidar_to_camera, _ = _calibration(folder)
        return np.linalg.inv(lidar_to_camera) @ pose @ lidar_to_camera

    def _frame(self, name: str, camera: str) -> Frame:
        folder, number = self._place(name)
        lidar_to_camera, projection = _calibration(folder)
        with errors_in(folder / "calib.txt"):
            intrinsics, camera_offset = pinhole(projection)
        image = read_image(folder / camera / f"{number}.png")
        return Frame(image, None, intrinsics, np.linalg.inv(lidar_to_camera) @ camera_offset)


def _calibration(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """LiDAR to camera 0, and the projection of camera 2."""
    path = folder / "calib.txt"
    matrices = read_kitti_calibration(path, _CALIBRATION)
    with errors_in(path):
        return rigid(matrices["Tr"][:, :3], matrices["Tr"][:, 3]), matrices["P2"]


def _sweeps(paths: Sequence[Path]) -> list[str]:
    return [f"{path.parent.parent.name}/{path.stem}" for path in paths]
