"""Folders of posed frames: one's own recordings, and ScanNet's 25k frames."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import visible
from pcl_data.datasets.fused_frames import FusedFrames
from pcl_data.datasets.scannet_frames import (
    exported_frame_files,
    has_depth,
    intrinsics_file,
    read_exported_frames,
)
from pcl_data.readers import is_readable, read_scene
from pcl_data.scene import LazyFrames, Scene


class FrameFolder(FusedFrames):
    """Scenes that were recorded frame by frame, with a scan of one's own or without.

    A scene is a folder as the exporters of ScanNet write it: `color/<n>.jpg` or `.png`;
    `depth/<n>.png` (16 bits, millimetres; 0 is no measurement); `pose/<n>.txt` (camera to world,
    4 x 4, metres, z up; -inf everywhere where the camera was lost); `intrinsic/intrinsic_depth.txt`
    or `intrinsics_depth.txt` (4 x 4; `_color` in place of `_depth` is scaled to the depth image).

    With `scan.ply`, or another readable `scan.*` or scene folder `scan`, in the world of the poses,
    the scene is that scan, as `read_scene` takes it. Then there may be no `depth/`: frames have no
    depth, the size of the colour image and the intrinsics of `_color`. Without a scan, points and
    colours are what the frames see, the first in each voxel, and there are no labels.

    Args:
        root: folder of scenes, such as `scannet_frames_25k/`.
        split: names of scenes, or a pattern; None takes all, sorted.
        frame_step: every frame_step-th frame is taken.
        voxel_size: least distance between points that frames see, as the edge of a voxel, metres.
        drop_invalid: leave out points of a scan with a NaN or infinite coordinate.
        **options: as of `FileDataset`.

    Raises:
        FileNotFoundError: if files are missing: which ones.
        ValueError: if split names nothing, an option is wrong, frame_step is below 1, voxel_size
            not positive, or a scene has two scans; on reading, if the principal point of the
            intrinsics is not near the middle of the image.
    """

    title = "posed frames"
    source = "an export of color/ depth/ pose/ intrinsic/; scan.ply may stand in for depth/"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | Sequence[str] | None = None,
        *,
        frame_step: int = 1,
        voxel_size: float = 0.02,
        drop_invalid: bool = False,
        **options: Any,
    ) -> None:
        split = "*" if split is None else split
        self.drop_invalid = drop_invalid
        super().__init__(root, split, frame_step=frame_step, voxel_size=voxel_size, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """There are none."""
        raise AssertionError(split)

    def every_name(self) -> Sequence[str]:
        """Folders with poses."""
        return [folder.parent.name for folder in self.listed([self.root], "*/pose")]

    def files(self, name: str) -> tuple[Path, ...]:
        """The intrinsics, the images and poses of the frames that are taken, a scan if needed."""
        folder = self.root / name
        frames = exported_frame_files(folder, self.frame_step).values()
        needs_scan = _scan_file(folder) is None and not has_depth(folder)
        scans = [folder / "scan.ply"] if needs_scan else []
        return (intrinsics_file(folder), *scans, *(path for each in frames for path in each.all()))

    def frames(self, name: str) -> LazyFrames:
        """The frames of a scene whose pose is known, in order.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: naming the pose that is broken.
        """
        return self._frames(name, np.zeros(3))

    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            FileNotFoundError: if it has no frame.
            ValueError: naming the file that is broken, or if no frame has depth and there is no
                scan.
        """
        file = _scan_file(self.root / name)
        if file is None:
            return super().read(name)
        label_ids = "train" if self.has_labels else "none"
        scan = read_scene(file, label_ids=label_ids, drop_invalid=self.drop_invalid)
        frames = self._frames(name, np.zeros(3) if scan.origin is None else scan.origin)
        return replace(scan, name=name, frames=frames)

    def _frames(self, name: str, origin: Float64[np.ndarray, " 3"]) -> LazyFrames:
        """The frames in a world that begins at the origin, as the points do."""
        to_points = np.eye(4)
        to_points[:3, 3] = -origin
        return read_exported_frames(self.root / name, to_points, None, step=self.frame_step)


def _scan_file(folder: Path) -> Path | None:
    """The scan of a scene, if it has one; that none is readable is told on reading."""
    paths = [path for path in visible(folder, "scan*") if path.stem == "scan"]
    scans = [path for path in paths if is_readable(path)] or paths[:1]
    if len(scans) > 1:
        names = " and ".join(path.name for path in scans)
        raise ValueError(f"{folder}: must hold one scan, got {names}")
    return scans[0] if scans else None
