"""Which camera frames of a scene see the same surface.

Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene Contexts", CVPR
2021: each frame is thinned to one point a voxel, and the overlap of two frames is the share of the
points of one that have a point of the other within a radius, the larger share of the two directions
(`compute_full_overlapping.py`: 5 cm voxels, 7.5 cm radius, pairs from 0.3). Appendix A of the paper
writes 2.5 cm for the radius.

The published script asks a tree of every frame for every point of every other frame. Here all
frames share one grid of cells as wide as the radius: a point is compared with the frames that have
points in its cell or a neighbouring one, first with one witness in its own cell, and only where
that is too far with the tree of the frame. The counts are the same, to the point.

We depart from the script in the grid of the thinning, which is fixed in the world and not at the
corner of each cloud. As there, the point of a voxel is the mean of its points.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from pcl_data.pairs.unprojection import unproject
from pcl_data.scene import Frame
from pcl_data.voxelization import voxelize


class FramePairs(NamedTuple):
    """Pairs of overlapping frames.

    `pairs` are the numbers of the two frames, of mined ones the smaller first and in ascending
    order; `overlap` is in [0, 1].
    """

    pairs: Int64[np.ndarray, "m 2"]
    overlap: Float64[np.ndarray, " m"]


def frame_overlap(
    points_a: Float[np.ndarray, "n 3"],
    points_b: Float[np.ndarray, "m 3"],
    *,
    voxel_size: float = 0.05,
    radius: float = 0.075,
) -> float:
    """The larger share of one cloud's thinned points that have one of the other's in the radius.

    Args:
        points_a: metres, in the same coordinates as
        points_b: metres. An empty cloud overlaps nothing.
        voxel_size: edge of the voxels that the clouds are thinned to, metres.
        radius: largest distance of neighbours, metres, inclusive.

    Raises:
        ValueError: if voxel_size or radius is not positive, or a coordinate is not finite.

    Example:
        >>> import numpy as np
        >>> line = np.arange(10.0)[:, None] * [1.0, 0, 0]
        >>> frame_overlap(line, line[:4] + 0.01)
        1.0
        >>> frame_overlap(line[:6], line[4:])
        0.3333333333333333
    """
    clouds = [_thin(points, voxel_size) for points in (points_a, points_b)]
    return float(_overlaps(clouds, radius)[0, 1])


def mine_pairs(
    frames: Iterable[Frame],
    *,
    min_overlap: float = 0.3,
    voxel_size: float = 0.05,
    radius: float = 0.075,
) -> FramePairs:
    """All pairs of frames of a scene that overlap enough, as `frame_overlap` measures them.

    One frame is read at a time; what is kept are the thinned points of all, about 200 bytes each,
    and two numbers for every pair.

    Args:
        frames: with depth, of one scene. Those that measured nothing are in no pair.
        min_overlap: least overlap of a pair, inclusive, in (0, 1].
        voxel_size: edge of the voxels that the frames are thinned to, metres.
        radius: largest distance of neighbours, metres, inclusive.

    Raises:
        ValueError: if a frame has no depth, voxel_size or radius is not positive, or min_overlap is
            outside (0, 1].
    """
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie in (0, 1], got {min_overlap}")
    clouds = [_thin(unproject(frame).points, voxel_size) for frame in frames]
    overlap = np.triu(_overlaps(clouds, radius), k=1)
    a, b = np.nonzero(overlap >= min_overlap)
    return FramePairs(np.stack([a, b], axis=1), overlap[a, b])


def _thin(points: Float[np.ndarray, "n 3"], voxel_size: float) -> Float64[np.ndarray, "v 3"]:
    """Mean of the points in each occupied voxel."""
    grid = voxelize(points, voxel_size)
    n_voxels = len(grid.index)
    sums = [np.bincount(grid.inverse, axis, n_voxels) for axis in points.T]
    return np.stack(sums, axis=1) / np.bincount(grid.inverse, minlength=n_voxels)[:, None]


def _overlaps(
    clouds: Sequence[Float64[np.ndarray, "_ 3"]], radius: float
) -> Float64[np.ndarray, "f f"]:
    """Symmetric overlap of all pairs of thinned clouds."""
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    sizes = np.array([len(cloud) for cloud in clouds], np.int64)
    share = _count_near(clouds, sizes, radius) / np.maximum(sizes, 1)
    return np.maximum(share, share.T)


def _count_near(
    clouds: Sequence[Float64[np.ndarray, "_ 3"]], sizes: Int64[np.ndarray, " f"], radius: float
) -> Int64[np.ndarray, "f f"]:
    """Points of the cloud of the column that have one of the cloud of the row in the radius."""
    count = np.zeros((len(sizes), len(sizes)), np.int64)
    if sizes.sum() == 0:
        return count
    points = np.concatenate(clouds)
    cloud_of = np.repeat(np.arange(len(sizes)), sizes)
    # A little wider than the radius: rounding never puts two near points two cells apart.
    coords, _, cell = voxelize(points, 1.001 * radius)
    neighbours = _neighbours(coords)
    ends = np.cumsum(sizes)
    for row, (start, end) in enumerate(zip(ends - sizes, ends, strict=True)):
        witness = np.full(len(coords), -1)
        witness[cell[start:end]] = np.arange(start, end)
        near = np.flatnonzero((neighbours @ (witness >= 0))[cell])
        is_match = _within(points, near, witness[cell[near]], radius)
        rest = near[~is_match]
        # The bound of a query is exclusive.
        bound = np.nextafter(radius, np.inf)
        distance, _ = KDTree(points[start:end]).query(points[rest], distance_upper_bound=bound)
        is_match[~is_match] = np.isfinite(distance)
        count[row] = np.bincount(cloud_of[near[is_match]], minlength=len(sizes))
    return count


def _neighbours(coords: np.ndarray) -> csr_array:
    """Boolean adjacency of the occupied cells: themselves and those that touch them."""
    i, j = KDTree(coords).query_pairs(1, p=np.inf, output_type="ndarray").T
    own = np.arange(len(coords))
    rows, columns = np.concatenate([i, j, own]), np.concatenate([j, i, own])
    return csr_array((np.ones(len(rows), bool), (rows, columns)), (len(coords), len(coords)))


def _within(points: np.ndarray, a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Whether points a and b are within the radius; b is -1 where there is none."""
    is_within = b >= 0
    difference = points[a[is_within]] - points[b[is_within]]
    is_within[is_within] = np.square(difference).sum(axis=1) <= radius * radius
    return is_within
