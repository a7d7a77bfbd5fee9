"""SUN RGB-D in the layout that VoteNet's scripts export, or in the one that they export from.

Song et al., "SUN RGB-D", CVPR 2015. The exports are those of sunrgbd/sunrgbd_data.py and
sunrgbd/matlab/extract_rgbd_data_v2.m of Qi et al., "Deep Hough Voting", ICCV 2019.
"""

import os
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from pcl_data.datasets.file_dataset import FileDataset, visible
from pcl_data.datasets.sun_rgbd_toolbox import read_toolbox_boxes, read_toolbox_points
from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import SUNRGBD10
from pcl_data.readers.npy import read_array
from pcl_data.readers.npz import read_members
from pcl_data.readers.records import read_image
from pcl_data.scene import Frame, LazyFrames, Scene
from pcl_data.splits import read_split

SPLITS = ("train", "val")
# From the axes of the points, x right, y forward, z up, to those of the camera.
_CAMERA_OF_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


class SunRgbd(FileDataset):
    """Single views of rooms with oriented boxes of ten classes, for detection.

    A scene is `<id>_pc.npz` (x right, y forward, z up, the camera at the origin) with the boxes of
    `<id>_bbox.npy`. The files hold half the lengths of a box, and its heading clockwise; here they
    are whole and counter-clockwise, as everywhere. `<id>_votes.npz` follows from the boxes and is
    not read. The scene has its photograph as a frame if the folder `sunrgbd_trainval/`, which the
    exports are made from, is there with `image/<id>.jpg` and `calib/<id>.txt`. The depth of the
    frame is that of the points, of which each lies on a pixel of its own: 50,000 of all pixels.

    Where there are no exports, `sunrgbd_trainval/` itself is read, which the toolbox's MATLAB
    scripts make: `depth/<id>.mat` with a point for every pixel that has depth, `label/<id>.txt`,
    and `train_data_idx.txt` and `val_data_idx.txt` for the splits.

    Args:
        root: folder that holds `sunrgbd_pc_bbox_votes_50k_v1_train` and `..._val`, or `train` and
            `val`, or the files themselves, or `sunrgbd_trainval`.
        split: train, val, six-digit ids, or a pattern of them.
        **options: as of `FileDataset`.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
        ValueError: if split or an option is none of the above.
    """

    title = "SUN RGB-D, as VoteNet exports it or the toolbox extracts it"
    source = "https://rgbd.cs.princeton.edu, by the scripts of facebookresearch/votenet"

    splits = SPLITS
    label_sets = (SUNRGBD10,)
    name_form = r"\d{6}"

    def __init__(
        self, root: str | os.PathLike[str], split: str | Sequence[str] = "train", **options: Any
    ) -> None:
        root = Path(root)
        splits = (split,) if isinstance(split, str) and split in SPLITS else SPLITS
        places = [place for name in splits for place in _places(root, name)]
        self._folders = [place for place in places if visible(place, "*_pc.npz")]
        self._toolbox = root / "sunrgbd_trainval"
        if not self._folders and not (self._toolbox / "depth").is_dir():
            self.require(root, [places[0] / "*_pc.npz"])
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Exported views of a split, or those of its list."""
        if self._folders:
            place = next((p for p in _places(self.root, split) if p in self._folders), None)
            self.require(self.root, [] if place else [_places(self.root, split)[0] / "*_pc.npz"])
            return [] if place is None else _exported([place])
        path = self._toolbox / f"{split}_data_idx.txt"
        self.require(self._toolbox.parent, [path])
        with errors_in(path):
            return [f"{int(line):06d}" for line in read_split(path)]

    def every_name(self) -> Sequence[str]:
        """Views that are there."""
        if self._folders:
            return _exported(self._folders)
        return [path.stem for path in visible(self._toolbox / "depth", "*.mat")]

    def files(self, name: str) -> tuple[Path, ...]:
        """Points and boxes of a view."""
        if self._folders:
            return self._file(name, "_pc.npz"), self._file(name, "_bbox.npy")
        return self._toolbox / "depth" / f"{name}.mat", self._toolbox / "label" / f"{name}.txt"

    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: naming the file that is broken.
        """
        points_file, boxes_file = self.files(name)
        if self._folders:
            with errors_in(boxes_file):
                boxes = _converted(_read_boxes(boxes_file))
        else:
            boxes = read_toolbox_boxes(boxes_file).astype(np.float32)
        read_points = _read_points if self._folders else read_toolbox_points
        with errors_in(points_file):
            table = read_points(points_file)
            if table.shape[1] == 6 and not 0 <= table[:, 3:].min() <= table[:, 3:].max() <= 1:
                raise ValueError("colours must lie in [0, 1]")
        points = table[:, :3].astype(np.float32)
        colors = np.rint(table[:, 3:] * 255).astype(np.uint8) if table.shape[1] == 6 else None
        return Scene(
            name,
            points,
            colors=colors,
            boxes=boxes,
            frames=self._frames(name, points),
            label_set=SUNRGBD10,
        )

    def _file(self, name: str, suffix: str) -> Path:
        files = [folder / f"{name}{suffix}" for folder in self._folders]
        return next((file for file in files if file.is_file()), files[0])

    def _frames(self, name: str, points: Float32[np.ndarray, "n 3"]) -> LazyFrames | tuple[()]:
        if not all(file.is_file() for file in _frame_files(self.root, name)):
            return ()
        return LazyFrames([name], partial(_read_frame, self.root, points))


def _exported(folders: Sequence[Path]) -> list[str]:
    files = [file.name for folder in folders for file in visible(folder, "*_pc.npz")]
    return sorted({name.removesuffix("_pc.npz") for name in files})


def _frame_files(root: Path, name: str) -> tuple[Path, Path]:
    """Photograph and calibration of a view."""
    folder = root / "sunrgbd_trainval"
    return folder / "image" / f"{name}.jpg", folder / "calib" / f"{name}.txt"


def _places(root: Path, split: str) -> list[Path]:
    """Where the files of a split may be."""
    return [root / f"sunrgbd_pc_bbox_votes_50k_v1_{split}", root / split, root]


def _read_points(file: Path) -> Shaped[np.ndarray, "n k"]:
    with library_errors("NPZ"), zipfile.ZipFile(file) as archive:
        (table,) = read_members(archive, [archive.getinfo("pc.npy")])
    if table.ndim != 2 or table.shape[1] not in (3, 6) or not len(table):
        raise ValueError(f"pc must have shape (n, 6) or (n, 3), got {table.shape}")
    return table


def _read_boxes(file: Path) -> Shaped[np.ndarray, "k 8"]:
    with library_errors("NPY"), file.open("rb") as stream:
        boxes = read_array(stream, file.stat().st_size)
    if boxes.ndim != 2 or boxes.shape[1] != 8 or not np.isfinite(boxes).all():
        raise ValueError(f"boxes must have shape (k, 8) and be finite, got {boxes.shape}")
    return boxes


def _converted(boxes: Shaped[np.ndarray, "k 8"]) -> Float32[np.ndarray, "k 8"]:
    """Boxes with full sizes and counter-clockwise headings."""
    classes = boxes[:, 7].astype(np.int64)
    if not (np.array_equal(classes, boxes[:, 7]) and (boxes[:, [3, 4, 5, 7]] >= 0).all()):
        raise ValueError("boxes must have whole classes and half lengths, both of at least 0")
    labels = SUNRGBD10.to_train(classes + 1)
    converted = np.column_stack([boxes[:, :3], 2 * boxes[:, 3:6], -boxes[:, 6], labels])
    return converted.astype(np.float32)


def _read_frame(root: Path, points: Float32[np.ndarray, "n 3"], name: str) -> Frame:
    """The photograph with the depth of the points.

    The calibration file has two lines of nine numbers, column by column: the rotation from the
    camera's axes (x right, y forward, z up) to the upright ones, and the intrinsics, which count
    pixels from 1.
    """
    image, calibration = _frame_files(root, name)
    with errors_in(calibration), library_errors("calibration"):
        lines = calibration.read_text(encoding="utf-8").splitlines()
        tilt, intrinsics = (_columns(line) for line in lines[:2])
    intrinsics[:2, 2] -= 1
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = tilt @ _CAMERA_OF_UPRIGHT.T
    pixels = read_image(image)
    with errors_in(calibration):
        depth = _depth(points @ camera_to_world[:3, :3], intrinsics, pixels.shape[:2])
        return Frame(pixels, depth, intrinsics, camera_to_world)


def _columns(line: str) -> Float64[np.ndarray, "3 3"]:
    matrix = np.array(line.split(), np.float64).reshape(3, 3, order="F")
    if not np.isfinite(matrix).all():
        raise ValueError(f"a matrix {matrix.tolist()}")
    return matrix


def _depth(
    points: Float64[np.ndarray, "n 3"],
    intrinsics: Float64[np.ndarray, "3 3"],
    shape: tuple[int, ...],
) -> Float32[np.ndarray, "h w"]:
    """Depth image of points in the camera's frame; 0 where there is none."""
    points = points[points[:, 2] > 0]
    columns, rows, z = (points @ intrinsics.T).T
    columns, rows = (np.rint(axis / z).astype(np.int64) for axis in (columns, rows))
    is_in = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
    depth = np.zeros(shape, np.float32)
    depth[rows[is_in], columns[is_in]] = points[is_in, 2]
    return depth
