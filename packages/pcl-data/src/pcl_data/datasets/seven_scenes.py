"""7-Scenes in its official layout: sequences of posed RGB-D frames of seven rooms.

Shotton et al., "Scene Coordinate Regression Forests for Camera Relocalization in RGB-D Images",
CVPR 2013; the file names, the default intrinsics and the mark 65535 of missing depth are those of
the data set's own readme.
"""

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import visible
from pcl_data.datasets.fused_frames import FusedFrames
from pcl_data.readers.posed_frames import FrameFiles, read_posed_frame, tracked_poses
from pcl_data.readers.records import read_matrix
from pcl_data.scene import Frame, LazyFrames
from pcl_data.splits import read_split

SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
INTRINSICS = np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]])
_INTRINSICS_FILE = "camera-intrinsics.txt"
# Poses are in the axes of a first camera, held level: x right, y down, z forward.
_UPRIGHT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


class SevenScenes(FusedFrames):
    """Sequences of frames; the points of a scene are what its frames see.

    The scene of `chess/seq-01` is called `chess_seq-01`. Its frames are every `frame_step`-th one,
    and its points and their colours come from the depth of these frames, the first in each voxel
    of `voxel_size`. World coordinates are turned so that z is up, as far as the first camera was
    held level. There are no labels. Colour and depth cameras are taken for one, as the data set
    leaves them.

    Args:
        root: folder with a folder for each of the seven rooms.
        split: train, test (by the `TrainSplit.txt` and `TestSplit.txt` of the rooms that are
            there), a room (`chess`), sequences (`chess/seq-01`), or a pattern of them.
        frame_step: every frame_step-th frame is taken.
        voxel_size: least distance between points, as the edge of a voxel, metres.
        **options: as of `FileDataset`.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
        ValueError: if split or an option is none of the above, frame_step is below 1 or voxel_size
            not positive.
    """

    title = "7-Scenes"
    source = "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes"
    splits = tuple(SPLITS)
    name_form = r"\w+_seq-\d\d"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | Sequence[str] = "train",
        *,
        frame_step: int = 25,
        voxel_size: float = 0.02,
        **options: Any,
    ) -> None:
        super().__init__(root, split, frame_step=frame_step, voxel_size=voxel_size, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Sequences in the lists of the rooms that are there."""
        lists = visible(self.root, f"*/{SPLITS[split]}")
        self.require(self.root, [] if lists else [self.root / "chess" / SPLITS[split]])
        return [
            f"{file.parent.name}_seq-{_number(file, line):02d}"
            for file in lists
            for line in read_split(file)
        ]

    def every_name(self) -> Sequence[str]:
        """Sequences that are there; frames of a room without sequences are one, called like it."""
        folders = visible(self.root, "*/seq-*/")
        rooms = [room for room in visible(self.root, "*/") if any(room.glob("frame-*.pose.txt"))]
        return [f"{folder.parent.name}_{folder.name}" for folder in folders] + [
            room.name for room in rooms
        ]

    def group_of(self, name: str) -> str:
        """The room."""
        return name.rpartition("_seq-")[0]

    def full_name(self, word: str) -> str:
        """`chess/seq-01` is called `chess_seq-01`."""
        return word.replace("/", "_")

    def files(self, name: str) -> tuple[Path, ...]:
        """The images and poses of the frames that are taken; the first pose if there is none."""
        frames = self._frame_files(name)
        files = [file for frame in frames.values() for file in frame.all()]
        return tuple(files) or (self._folder(name) / "frame-000000.pose.txt",)

    def frames(self, name: str) -> LazyFrames:
        """The frames of a sequence whose pose is known, turned upright.

        Raises:
            ValueError: naming the pose or the intrinsics that are broken.
        """
        files, intrinsics = self._frame_files(name), self._intrinsics(name)
        poses = {frame: _UPRIGHT @ pose for frame, pose in tracked_poses(files).items()}
        return LazyFrames(tuple(poses), partial(_read_frame, files, poses, intrinsics))

    def _folder(self, name: str) -> Path:
        return self.root / name.replace("_seq-", "/seq-")

    def _frame_files(self, name: str) -> dict[str, FrameFiles]:
        poses = sorted(self._folder(name).glob("frame-*.pose.txt"))[:: self.frame_step]
        return {file.name.removesuffix(".pose.txt"): _files(file) for file in poses}

    def _intrinsics(self, name: str) -> Float64[np.ndarray, "3 3"]:
        folder = self._folder(name)
        files = [place / _INTRINSICS_FILE for place in (folder, folder.parent)]
        file = next((file for file in files if file.is_file()), None)
        return INTRINSICS if file is None else read_matrix(file, (3, 3))


def _files(pose: Path) -> FrameFiles:
    stem = pose.name.removesuffix(".pose.txt")
    colors = [pose.with_name(f"{stem}.color{suffix}") for suffix in (".png", ".jpg")]
    color = next((file for file in colors if file.is_file()), colors[0])
    return FrameFiles(color, pose.with_name(f"{stem}.depth.png"), pose)


def _read_frame(
    files: dict[str, FrameFiles],
    poses: dict[str, Float64[np.ndarray, "4 4"]],
    intrinsics: Float64[np.ndarray, "3 3"],
    name: str,
) -> Frame:
    return read_posed_frame(files[name], poses[name], intrinsics)


def _number(file: Path, line: str) -> int:
    match = re.fullmatch(r"sequence(\d+)", line)
    if match is None:
        raise ValueError(f"{file}: must hold lines like 'sequence1', got {line!r}")
    return int(match[1])
