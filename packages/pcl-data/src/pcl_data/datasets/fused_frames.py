"""The part that data sets of posed frames without a reconstruction share."""

from abc import abstractmethod
from collections.abc import Sequence
from os import PathLike
from typing import Any

from pcl_data.datasets.file_dataset import FileDataset
from pcl_data.pairs import fuse_frames
from pcl_data.scene import LazyFrames, Scene


class FusedFrames(FileDataset):
    """Scenes whose points are what their frames see, the first in each voxel; without labels.

    Args:
        root: folder of the data set.
        split: as of `FileDataset`.
        frame_step: every frame_step-th frame is taken.
        voxel_size: least distance between points, as the edge of a voxel, metres.
        **options: as of `FileDataset`.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
        ValueError: if frame_step is below 1, voxel_size not positive, or an option wrong.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        split: str | Sequence[str],
        *,
        frame_step: int,
        voxel_size: float,
        **options: Any,
    ) -> None:
        if frame_step < 1:
            raise ValueError(f"frame_step must be at least 1, got {frame_step}")
        if not voxel_size > 0:
            raise ValueError(f"voxel_size must be positive, got {voxel_size}")
        self.frame_step = frame_step
        self.voxel_size = voxel_size
        super().__init__(root, split, **options)

    @abstractmethod
    def frames(self, name: str) -> LazyFrames:
        """The frames of a scene whose pose is known."""

    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            FileNotFoundError: if it has no frame.
            ValueError: naming the file that is broken, or if no frame has depth.
        """
        frames = self.frames(name)
        points, colors = fuse_frames(frames, self.voxel_size)
        return Scene(name, points, colors=colors, frames=frames)
