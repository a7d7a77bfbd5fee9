"""Points to voxels and back: one row per occupied cell of a regular grid.

The cell of a point is floor(point / voxel_size), its first point represents it, and cells are
numbered by their first point, as in the sparse quantisation of Choy et al., "4D Spatio-Temporal
ConvNets", CVPR 2019.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32, Int64

from pcl_data.label_set import IGNORE_INDEX


class VoxelGrid(NamedTuple):
    """Occupied voxels of a point cloud.

    `coords` are grid coordinates, `index` the first point of each voxel (ascending), `inverse` the
    voxel of each point.
    """

    coords: Int32[np.ndarray, "v 3"]
    index: Int64[np.ndarray, " v"]
    inverse: Int64[np.ndarray, " n"]


def voxelize(points: Float[np.ndarray, "n 3"], voxel_size: float) -> VoxelGrid:
    """Occupied voxels, in the order of their first points.

    Args:
        points: metres. No points give no voxels.
        voxel_size: edge of a voxel, metres.

    Raises:
        ValueError: if voxel_size is not positive, a coordinate is not finite or its voxel does not
            fit int32, or the bounding box has 2^63 voxels or more.

    Example:
        >>> import numpy as np
        >>> points = np.array([[0.5, 0, 0], [-0.1, 0, 0], [0.6, 0, 0]])
        >>> grid = voxelize(points, 0.25)
        >>> grid.coords.tolist(), grid.index.tolist(), grid.inverse.tolist()
        ([[2, 0, 0], [-1, 0, 0]], [0, 1], [0, 1, 0])
    """
    if not voxel_size > 0:
        raise ValueError(f"voxel_size must be positive, got {voxel_size}")
    n = len(points)
    if n == 0:
        none = np.zeros(0, np.int64)
        return VoxelGrid(np.zeros((0, 3), np.int32), none, none)
    # (3, n), since numpy is several times faster along contiguous axes
    cells = np.floor(np.divide(points.T, voxel_size, dtype=np.float64, order="C"))
    key = _pack(cells)
    point = _stable_order(key)  # by voxel, then by point
    key = key[point]
    starts = np.append(True, key[1:] != key[:-1])
    first = point[starts]
    is_first = np.zeros(n, bool)
    is_first[first] = True
    voxel = np.cumsum(is_first)[first] - 1
    inverse = np.empty(n, np.int64)
    inverse[point] = voxel[np.cumsum(starts) - 1]
    index = np.flatnonzero(is_first)
    coords = np.stack([axis[index] for axis in cells], axis=1).astype(np.int32)
    return VoxelGrid(coords, index, inverse)


def voxel_labels(
    labels: Int64[np.ndarray, " n"], inverse: Int64[np.ndarray, " n"], n_voxels: int
) -> Int64[np.ndarray, " v"]:
    """Label of each voxel: that of its annotated points if they agree, else -1.

    Unannotated points (-1) have no say, so a voxel keeps a single annotated point's label. Choy et
    al.'s quantiser, which the published label-efficient results used, drops such a voxel.

    Args:
        labels: train ids, -1 unlabelled.
        inverse: voxel of each point.
        n_voxels: number of voxels.

    Raises:
        ValueError: if a voxel in `inverse` is outside [0, n_voxels).

    Example:
        >>> import numpy as np
        >>> inverse = np.array([0, 0, 1, 1, 2])
        >>> voxel_labels(np.array([4, -1, 4, 5, -1]), inverse, 3).tolist()
        [4, -1, -1]
    """
    if len(inverse) and not 0 <= inverse.min() <= inverse.max() < n_voxels:
        raise ValueError(
            f"inverse must lie in [0, {n_voxels}), got [{inverse.min()}, {inverse.max()}]"
        )
    annotated = labels != IGNORE_INDEX
    lowest = np.full(n_voxels, np.iinfo(np.int64).max)
    highest = np.full(n_voxels, IGNORE_INDEX)
    np.minimum.at(lowest, inverse[annotated], labels[annotated])
    np.maximum.at(highest, inverse[annotated], labels[annotated])
    return np.where(lowest == highest, lowest, IGNORE_INDEX)


def _pack(cells: Float[np.ndarray, "3 n"]) -> Int64[np.ndarray, " n"]:
    """The number of each cell in the bounding box."""
    low, high = cells.min(axis=1), cells.max(axis=1)
    if not np.isfinite(low).all() or not np.isfinite(high).all():
        raise ValueError(f"points must be finite, got cells from {low} to {high}")
    if max(abs(low).max(), abs(high).max()) >= 2**31:
        raise ValueError(f"points / voxel_size must fit int32, got cells from {low} to {high}")
    size_x, size_y, size_z = size = [int(extent) for extent in high - low + 1]
    if size_x * size_y * size_z >= 2**63:
        raise ValueError(f"points must span fewer than 2^63 voxels, got {size}")
    x, y, z = (cells - low[:, None]).astype(np.int64)
    return (x * size_y + y) * size_z + z


def _stable_order(key: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Order of positive numbers, equal ones as they come.

    One radix sort for every 16 bits, which numpy does for 16-bit numbers alone; a few times as fast
    as its sort of longer ones.
    """
    order = np.argsort(key.astype(np.uint16), kind="stable")
    for shift in range(16, int(key.max()).bit_length(), 16):
        digit = (key[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
    return order
