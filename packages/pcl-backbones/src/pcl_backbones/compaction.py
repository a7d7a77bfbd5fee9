"""Far parts of a scene moved together, as far as no network of a known reach can tell."""

import numpy as np
from jaxtyping import Int, Int32, Int64

from pcl_backbones.coordinates import COORD_LIMIT

_FAR = 1 << 62  # differences of two coordinates below it are exact


def compact_coordinates(
    coords: Int[np.ndarray, "v 3"], gap: int, multiple: int
) -> Int32[np.ndarray, "v 3"]:
    """Voxel coordinates without the empty space that no network of that reach sees across.

    Along each axis, a run of more than `gap` cells without a voxel is shortened by whole
    multiples, to the shortest that is no shorter than `gap`. An axis that leaves the range of
    `SparseTensor` is then shifted by whole multiples to its lower end. Voxels keep their order
    and their remainders, and two that were at most `gap` cells apart on an axis keep that
    distance; others stay further apart. So a network that has no other notion of position, whose
    coarsest stride divides `multiple` and whose reach is at most `gap` gives the same bits.

    Args:
        coords: x, y, z of the voxels of one scene, such as floor(points / voxel_size).
        gap: cells, at least `multiple`.
        multiple: coarsest stride of the network, at least 1.

    Raises:
        ValueError: if `gap` or `multiple` is too small, a coordinate is 2^62 or more from zero, or
            what remains does not fit in [-32768, 32768).

    Example:
        >>> import numpy as np
        >>> compact_coordinates(np.array([[0, 0, 0], [1_000_000, 5, 0]]), 100, 16).tolist()
        [[0, 0, 0], [112, 5, 0]]
    """
    if multiple < 1:
        raise ValueError(f"multiple must be at least 1, got {multiple}")
    if gap < multiple:
        raise ValueError(f"gap must be at least multiple = {multiple}, got {gap}")
    if coords.ndim != 2 or coords.shape[1] != 3:
        raise ValueError(f"coords must have shape (v, 3), got {coords.shape}")
    if coords.dtype.kind != "i":
        raise ValueError(f"coords must be signed integers, got {coords.dtype}")
    if not coords.size:
        return coords.astype(np.int32)
    low, high = int(coords.min()), int(coords.max())
    if low <= -_FAR or high >= _FAR:
        raise ValueError(f"coords must lie within 2^62 of zero, got [{low}, {high}]")
    axes = [_compact(axis, gap, multiple) for axis in coords.astype(np.int64).T]
    return np.stack(axes, axis=1).astype(np.int32)


def _compact(values: Int64[np.ndarray, " v"], gap: int, multiple: int) -> Int64[np.ndarray, " v"]:
    low = int(values.min())
    if int(values.max()) - low > gap:
        places = np.unique(values)
        too_many = (np.diff(places) - 1 - gap).clip(0) // multiple * multiple
        shifts = np.append(0, too_many.cumsum())
        values = values - shifts[np.searchsorted(places, values)]
    high = int(values.max())
    if low >= -COORD_LIMIT and high < COORD_LIMIT:
        return values
    shift = -(-(-COORD_LIMIT - low) // multiple) * multiple  # rounded up
    if high + shift >= COORD_LIMIT:
        raise ValueError(
            f"coords must fit in [-{COORD_LIMIT}, {COORD_LIMIT}) without empty runs of more than "
            f"{gap} cells, got {high - low + 1} cells along an axis: larger voxels take fewer"
        )
    return values + shift
