"""The points that a depth image measured.

As in the frame export of Hou et al., "Exploring Data-Efficient 3D Scene Understanding with
Contrastive Scene Contexts", CVPR 2021 (`point_cloud_extractor.py`): the ray of a pixel goes through
its whole-numbered coordinates, pixels without a measurement are left out.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from pcl_data.scene import Frame
from pcl_data.voxelization import voxelize


class FramePoints(NamedTuple):
    """Measured points of a frame, in the order of the pixels, row by row.

    `points` are in the coordinates of the scene's points, metres; `pixel_index` is the row and the
    column of each.
    """

    points: Float32[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"]
    pixel_index: Int64[np.ndarray, "n 2"]


def unproject(frame: Frame) -> FramePoints:
    """The point of every pixel with a depth: camera_to_world (z K^-1 (column, row, 1)).

    Args:
        frame: with depth; 0 is no measurement. None measured gives no points.

    Raises:
        ValueError: if the frame has no depth image.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((2, 2, 3), np.uint8)
        >>> depth = np.array([[0, 0], [0, 2]], np.float32)
        >>> points, _, pixel_index = unproject(Frame(image, depth, np.eye(3), np.eye(4)))
        >>> points.tolist(), pixel_index.tolist()
        ([[2.0, 2.0, 2.0]], [[1, 1]])
    """
    if frame.depth is None:
        raise ValueError("frame must have a depth image, got None")
    rows, columns = np.nonzero(frame.depth)
    depth = frame.depth[rows, columns].astype(np.float64)
    pixels = np.stack([columns * depth, rows * depth, depth])
    camera_to_world = frame.camera_to_world.astype(np.float64)
    world = camera_to_world[:3, :3] @ np.linalg.inv(frame.intrinsics.astype(np.float64)) @ pixels
    world += camera_to_world[:3, 3:]
    return FramePoints(
        world.T.astype(np.float32, order="C"),
        frame.image[rows, columns],
        np.stack([rows, columns], axis=1),
    )


def fuse_frames(
    frames: Iterable[Frame], voxel_size: float
) -> tuple[Float32[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"]]:
    """Points of all frames and their colours, the first of each voxel of voxel_size metres.

    Raises:
        ValueError: if a frame has no depth image, or voxel_size is not positive.
    """
    points, colors = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.uint8)]
    for frame in frames:
        cloud = unproject(frame)
        kept = voxelize(cloud.points, voxel_size).index
        points.append(cloud.points[kept])
        colors.append(cloud.colors[kept])
    kept = voxelize(np.concatenate(points), voxel_size).index
    return np.concatenate(points)[kept], np.concatenate(colors)[kept]
