"""Points to voxels and back: one row per occupied cell of a regular grid.

The cell of a point is floor(point / voxel_size), its first point represents it, and cells are
numbered by their first point, as in the sparse quantisation of Choy et al., "4D Spatio-Temporal
ConvNets", CVPR 2019.
"""

import math
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
        ValueError: if voxel_size is not positive, or a coordinate is not finite or its voxel does
            not fit int32.

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
    key, cells = _pack(points, voxel_size)
    point = _stable_order(key)  # by voxel, then by point
    key = key[point]
    starts = np.append(True, key[1:] != key[:-1])
    first = point[starts]
    is_first = np.zeros(n, bool)
    is_first[first] = True
    index = np.flatnonzero(is_first)
    number = np.empty(n, np.int32)  # of the voxel that a point is the first of
    number[index] = np.arange(len(index), dtype=np.int32)
    inverse = np.empty(n, np.int64)
    inverse[point] = number[first][np.cumsum(starts, dtype=np.int32) - 1]
    return VoxelGrid(np.stack([axis[index] for axis in cells], axis=1), index, inverse)


def voxel_labels(
    labels: Int64[np.ndarray, " n"], inverse: Int64[np.ndarray, " n"], n_voxels: int
) -> Int64[np.ndarray, " v"]:
    """Label of each voxel: that of its annotated points if they agree, else -1.

    Unannotated points (-1) have no say, so a voxel keeps a single annotated point's label. Choy et
    al.'s quantiser, which the published label-efficient results used, drops such a voxel.

    Args:
        labels: train ids, -1 unlabeled.
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


def _pack(
    points: Float[np.ndarray, "n 3"], voxel_size: float
) -> tuple[Int64[np.ndarray, " n"], Int32[np.ndarray, "3 n"]]:
    """Number of each point's cell in the bounding box, and its grid coordinates.

    Axis by axis and in place: the arithmetic costs less than memory that has not been mapped yet.
    """
    key, cells = np.zeros(len(points), np.int64), np.empty((3, len(points)), np.int32)
    cell, size = np.empty(len(points)), []
    for axis, row in zip(points.T, cells, strict=True):
        np.divide(axis, voxel_size, out=cell, dtype=np.float64)
        np.floor(cell, out=cell)
        low, high = float(cell.min()), float(cell.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"points must be finite, got cells from {low} to {high}")
        if max(abs(low), abs(high)) >= 2**31:
            raise ValueError(f"points / voxel_size must fit int32, got cells {low} to {high}")
        row[:] = cell
        cell -= low
        size.append(int(high - low) + 1)
        key *= size[-1]
        key += cell.astype(np.int64)
    return (key if math.prod(size) < 2**63 else _sparse_key(cells)), cells


def _sparse_key(cells: Int32[np.ndarray, "3 n"]) -> Int64[np.ndarray, " n"]:
    """Number of each cell in the box of the occupied planes alone, however far these lie."""
    key, size = np.zeros(cells.shape[1], np.int64), []
    for row in cells:
        planes, number = np.unique(row, return_inverse=True)
        size.append(len(planes))
        key = key * len(planes) + number
    if math.prod(size) >= 2**63:
        raise ValueError(f"points must lie in fewer than 2^63 cells of a box, got {size}")
    return key


def _stable_order(key: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Order of positive numbers, equal ones as they come.

    One radix sort for every 16 bits, which numpy does for 16-bit numbers alone; a few times as fast
    as its sort of longer ones.
    """
    order = np.argsort(key.astype(np.uint16), kind="stable")
    for shift in range(16, int(key.max()).bit_length(), 16):
        digit = (key >> shift).astype(np.uint16)[order]
        order = order[np.argsort(digit, kind="stable")]
    return order
