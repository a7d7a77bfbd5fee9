"""A scene on the voxels that networks see: where it lies in the world does not matter."""

import numpy as np
from jaxtyping import Float, Int32

from pcl_backbones import compact_coordinates
from pcl_data import VoxelGrid, voxelize

REACH = 2048  # voxels that no network here sees across
STRIDE = 64  # voxels; a multiple of the coarsest stride of every network here


def scene_grid(points: Float[np.ndarray, "n 3"], voxel_size: float) -> VoxelGrid:
    """The voxels of a scene, counted from its least coordinates.

    So the same room gives the same voxels wherever it stands. Empty space that no network sees
    across is cut (`compact_coordinates`), so that one far point costs no range.

    Args:
        points: metres; at least one.
        voxel_size: metres.

    Raises:
        ValueError: if the scene spans more voxels than a network can tell apart.

    Example:
        >>> import numpy as np
        >>> room = np.array([[0.0, 0, 0], [0.3, 0, 0]])
        >>> scene_grid(room + [5000, 2000, 100], 0.25).coords.tolist()
        [[0, 0, 0], [1, 0, 0]]
    """
    grid = voxelize(points.astype(np.float64) - points.min(axis=0), voxel_size)
    return grid._replace(coords=compact(grid.coords))


def compact(coords: Int32[np.ndarray, "v 3"]) -> Int32[np.ndarray, "v 3"]:
    """Voxels without the empty space that no network here sees across (`compact_coordinates`).

    Raises:
        ValueError: if more voxels remain than a network can tell apart.
    """
    return compact_coordinates(coords, REACH, STRIDE)
