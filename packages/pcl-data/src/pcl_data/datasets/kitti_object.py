"""The object detection benchmark of KITTI: single sweeps with boxes.

Geiger et al., "Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite", CVPR 2012;
formats as in the readme of the object development kit and the header of its `run_demoTest`.
"""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from pcl_data.datasets.file_dataset import FileDataset, visible
from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import KITTI8
from pcl_data.readers.kitti_calibration import pinhole, read_kitti_calibration
from pcl_data.readers.lidar_sweep import read_sweep
from pcl_data.readers.records import read_image
from pcl_data.rigid import rigid, transform_points
from pcl_data.scene import Frame, LazyFrames, Scene
from pcl_data.splits import read_split

_CALIBRATION = {"P2": (3, 4), "R0_rect": (3, 3), "Tr_velo_to_cam": (3, 4)}


class KittiObject(FileDataset):
    """Sweeps of the KITTI object benchmark, named `training/000001`.

    `points` and `boxes` are in the frame of the LiDAR: x forward, y left, z up. Boxes are those of
    `label_2` (`read_kitti_boxes`), annotated only where the camera sees; None in `testing`.

    Needed are `training/` or `testing/` with `velodyne/`, `calib/`, `label_2/` (training only) and,
    for cameras, `image_2/`; `ImageSets/train.txt` and `val.txt` for the customary split of the
    training sweeps (Chen et al., NeurIPS 2015), which the benchmark does not give out.

    Args:
        root: folder that holds `training` and `testing`.
        split: `training`, `testing`, `train`, `val`, names or a pattern of sweeps.
        cameras: whether scenes have the image of the left colour camera as a frame.
        **options: as of `FileDataset`.

    Raises:
        ValueError: if `split` or an option is none of the above, or its list is broken.
        FileNotFoundError: if files are missing.
    """

    title = "the KITTI object benchmark"
    source = "cvlibs.net/datasets/kitti"
    splits = ("training", "testing", "train", "val")
    label_sets = (KITTI8,)
    name_form = r"(training|testing)/\d{6}"

    def __init__(
        self,
        root: str | PathLike[str],
        split: str | Sequence[str] = "training",
        *,
        cameras: bool = False,
        **options: Any,
    ) -> None:
        self.cameras = cameras
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Sweeps of a folder, or of a list in `ImageSets`."""
        if split in ("training", "testing"):
            return _sweeps(self.listed([self.root / split], "velodyne/*.bin"))
        path = self.root / "ImageSets" / f"{split}.txt"
        self.require(self.root, [path])
        numbers = read_split(path)
        wrong = [number for number in numbers if not (number.isdecimal() and len(number) == 6)]
        if wrong:
            raise ValueError(f"{path}: must hold numbers like 000001, got {wrong[0]!r}")
        return [f"training/{number}" for number in numbers]

    def every_name(self) -> Sequence[str]:
        """Sweeps of both folders."""
        folders = (self.root / "training", self.root / "testing")
        return _sweeps([path for each in folders for path in visible(each, "velodyne/*.bin")])

    def files(self, name: str) -> tuple[Path, ...]:
        """Sweep, calibration, boxes and image, as far as needed."""
        folders = {"velodyne": "bin", "calib": "txt"}
        folders |= {"label_2": "txt"} if self._is_labeled(name) else {}
        folders |= {"image_2": "png"} if self.cameras else {}
        return tuple(self._path(name, folder, suffix) for folder, suffix in folders.items())

    def read(self, name: str) -> Scene:
        """The sweep of a name.

        Raises:
            ValueError: naming the file that is broken and the rule it breaks.
        """
        points, intensity = read_sweep(self._path(name, "velodyne", "bin"), 4, 1)
        camera_to_lidar, _ = _calibration(self._path(name, "calib", "txt"))
        boxes = None
        if self._is_labeled(name):
            boxes = read_kitti_boxes(self._path(name, "label_2", "txt"), camera_to_lidar)
        return Scene(
            name,
            points,
            boxes=boxes,
            frames=LazyFrames(("image_2",), partial(self._frame, name)) if self.cameras else (),
            label_set=self.label_set,
            intensity=intensity,
        )

    def _is_labeled(self, name: str) -> bool:
        return self.has_labels and name.startswith("training")

    def _path(self, name: str, folder: str, suffix: str) -> Path:
        part, number = name.split("/")
        return self.root / part / folder / f"{number}.{suffix}"

    def _frame(self, name: str, camera: str) -> Frame:
        path = self._path(name, "calib", "txt")
        camera_to_lidar, projection = _calibration(path)
        with errors_in(path):
            intrinsics, camera_offset = pinhole(projection)
        image = read_image(self._path(name, camera, "png"))
        return Frame(image, None, intrinsics, camera_to_lidar @ camera_offset)


def _sweeps(paths: Sequence[Path]) -> list[str]:
    return [f"{path.parent.parent.name}/{path.stem}" for path in paths]


def read_kitti_boxes(path: Path, camera_to_lidar: np.ndarray) -> Float32[np.ndarray, "k 8"]:
    """Boxes of a file of `label_2` in the frame of the LiDAR, without those of DontCare.

    A line is: class, truncation, occlusion, angle, image box (4), height, width, length (metres),
    the middle of the bottom in rectified camera 0 (x right, y down, z forward) and the turn about
    y, 0 where the length lies along x. The tilt of some tenths of a degree between camera and LiDAR
    is lost: our boxes stand upright.

    Args:
        path: the file.
        camera_to_lidar: pose of rectified camera 0 in the frame of the LiDAR.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is no such line.
    """
    with errors_in(path), library_errors("label"):
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row for row in rows if row and row[0] != "DontCare"]
        if any(len(row) not in (15, 16) for row in rows):  # 16: with the score of a detector
            raise ValueError("lines of a class and 14 numbers expected")
        unknown = {row[0] for row in rows} - set(KITTI8.names)
        if unknown:
            raise ValueError(
                f"classes of {', '.join(KITTI8.names)} expected, {min(unknown)!r} found"
            )
        labels = np.array([KITTI8.names.index(row[0]) for row in rows], np.float64)
        numbers = np.array([row[8:15] for row in rows], np.float64).reshape(-1, 7)
        if not np.isfinite(numbers).all() or (numbers[:, :3] <= 0).any():
            raise ValueError("finite numbers and positive sizes expected")
    height, width, length, turn = numbers[:, [0, 1, 2, 6]].T
    centres = numbers[:, 3:6] - height[:, None] / 2 * np.array([0, 1, 0])
    along = np.stack([np.cos(turn), np.zeros(len(turn)), -np.sin(turn)], axis=1)
    x, y, _ = (along @ camera_to_lidar[:3, :3].T).T
    columns = [length, width, height, np.arctan2(y, x), labels]
    boxes = np.column_stack([transform_points(camera_to_lidar, centres), *columns])
    return boxes.astype(np.float32)


def _calibration(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pose of rectified camera 0 in the frame of the LiDAR, and the projection of camera 2."""
    matrices = read_kitti_calibration(path, _CALIBRATION)
    lidar = matrices["Tr_velo_to_cam"]
    with errors_in(path):
        rectification = rigid(matrices["R0_rect"], np.zeros(3))
        lidar_to_camera = rectification @ rigid(lidar[:, :3], lidar[:, 3])
    return np.linalg.inv(lidar_to_camera), matrices["P2"]
