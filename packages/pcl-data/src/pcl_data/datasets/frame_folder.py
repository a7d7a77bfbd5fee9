"""Folders of posed RGB-D frames: recordings without a reconstruction, and ScanNet's 25k frames."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcl_data.datasets.fused_frames import FusedFrames
from pcl_data.datasets.scannet_frames import (
    exported_frame_files,
    intrinsics_file,
    read_exported_frames,
)
from pcl_data.scene import LazyFrames


class FrameFolder(FusedFrames):
    """Scenes that were recorded frame by frame; the points of a scene are what its frames see.

    A scene is a folder as the exporters of ScanNet write it: `color/<n>.jpg` or `.png`;
    `depth/<n>.png` (16 bits, millimetres; 0 is no measurement); `pose/<n>.txt` (camera to world,
    4 x 4, metres, z up; -inf everywhere where the camera was lost); `intrinsic/intrinsic_depth.txt`
    or `intrinsics_depth.txt` (4 x 4; `_color` in place of `_depth` is scaled to the depth image).
    Points and colours are the first in each voxel. There are no labels.

    Args:
        root: folder of scenes, such as `scannet_frames_25k/`.
        split: names of scenes, or a pattern; None takes all, sorted.
        frame_step: every frame_step-th frame is taken.
        voxel_size: least distance between points, as the edge of a voxel, metres.
        **options: as of `FileDataset`.

    Raises:
        FileNotFoundError: if files are missing: which ones.
        ValueError: if split names nothing, an option is wrong, frame_step is below 1 or voxel_size
            not positive.
    """

    title = "posed frames"
    source = "an export of color/ depth/ pose/ intrinsic/"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | Sequence[str] | None = None,
        *,
        frame_step: int = 1,
        voxel_size: float = 0.02,
        **options: Any,
    ) -> None:
        split = "*" if split is None else split
        super().__init__(root, split, frame_step=frame_step, voxel_size=voxel_size, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """There are none."""
        raise AssertionError(split)

    def every_name(self) -> Sequence[str]:
        """Folders with poses."""
        return [folder.parent.name for folder in self.listed([self.root], "*/pose")]

    def files(self, name: str) -> tuple[Path, ...]:
        """The intrinsics, and the images and poses of the frames that are taken."""
        frames = exported_frame_files(self.root / name, self.frame_step).values()
        images = [file for frame in frames for file in (frame.color, frame.depth, frame.pose)]
        return (intrinsics_file(self.root / name), *images)

    def frames(self, name: str) -> LazyFrames:
        """The frames of a scene whose pose is known, in order.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: naming the pose that is broken.
        """
        return read_exported_frames(self.root / name, np.eye(4), None, step=self.frame_step)
