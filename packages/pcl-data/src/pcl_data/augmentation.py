"""Random changes of a training scene.

Values and order of Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive
Scene Contexts", CVPR 2021, downstream code: elastic distortion, rotation and scaling of the points;
then on the voxels drop, flip, contrast, translation and jitter of the colours, and shift.

Rigid changes are returned as matrices M, to be applied as `points @ M.T` to everything that is a
position or an offset: points, instance centres, boxes.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from jaxtyping import Float, Float32, Int, Int64
from numpy.random import Generator
from scipy.ndimage import uniform_filter1d

from pcl_data.argument_shapes import checked

ELASTIC_DISTORTIONS = ((0.2, 0.4), (0.8, 1.6))  # granularity and magnitude, metres
MAX_CELLS = 2**26  # of a noise grid: 0.8 GB
REACH = 6  # cells over which the noise is smooth
BLOCK = 2**14  # points; arrays of this size stay in the cache, and in memory that is mapped already


def random_linear_map(generator: Generator) -> Float[np.ndarray, "3 3"]:
    """Rotation, scaling and flip in one, each with its published values."""
    return random_rotation(generator) @ random_scaling(generator) @ random_flip(generator)


def random_rotation(
    generator: Generator,
    *,
    max_angles: tuple[float, float, float] = (np.pi / 64, np.pi / 64, np.pi),
) -> Float[np.ndarray, "3 3"]:
    """Rotation about x, y and z in random order.

    Args:
        generator: source of randomness.
        max_angles: bound of the uniform angle about each axis, radians.

    Example:
        >>> import numpy as np
        >>> matrix = random_rotation(np.random.default_rng(0))
        >>> bool(np.allclose(matrix @ matrix.T, np.eye(3)))
        True
    """
    matrix = np.eye(3)
    for axis in generator.permutation(3):
        angle = generator.uniform(-max_angles[axis], max_angles[axis])
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[[i, j, i, j], [i, j, j, i]] = (
            np.cos(angle),
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
        )
        matrix = turn @ matrix
    return matrix


def random_scaling(
    generator: Generator, *, bounds: tuple[float, float] = (0.9, 1.1)
) -> Float[np.ndarray, "3 3"]:
    """Isotropic scaling by a uniform factor.

    Args:
        generator: source of randomness.
        bounds: smallest and largest factor.

    Raises:
        ValueError: if the bounds are not positive and ascending.
    """
    low, high = bounds
    if not 0 < low <= high:
        raise ValueError(f"bounds must be positive and ascending, got {bounds}")
    return np.eye(3) * generator.uniform(low, high)


def random_flip(
    generator: Generator, *, axis_probability: float = 0.5, probability: float = 0.95
) -> Float[np.ndarray, "3 3"]:
    """Mirror x and y about the origin, each on its own.

    The published code mirrors grid coordinates about the far side of the scene instead, which is
    the same up to a translation.

    Args:
        generator: source of randomness.
        axis_probability: of each axis, when anything is flipped.
        probability: of flipping at all.
    """
    signs = np.ones(3)
    if _happens(generator, probability):
        signs[:2] = np.where(generator.random(2) < axis_probability, -1, 1)
    return np.diag(signs)


@checked
def elastic_distortions(
    points: Float[np.ndarray, "n 3"],
    generator: Generator,
    *,
    distortions: Sequence[tuple[float, float]] = ELASTIC_DISTORTIONS,
    probability: float = 0.95,
) -> Float[np.ndarray, "n 3"]:
    """Points after all of some elastic distortions, or as they were.

    Args:
        points: metres; at least one.
        generator: source of randomness.
        distortions: (granularity, magnitude) of each, metres; none for LiDAR.
        probability: of distorting at all.
    """
    if _happens(generator, probability):
        for granularity, magnitude in distortions:
            points = elastic_distortion(points, granularity, magnitude, generator)
    return points


@checked
def elastic_distortion(
    points: Float[np.ndarray, "n 3"], granularity: float, magnitude: float, generator: Generator
) -> Float[np.ndarray, "n 3"]:
    """Points displaced by smooth noise.

    Gaussian noise on a grid is box-filtered (width 3, zeros outside) twice along each axis and
    interpolated linearly at the points.

    Args:
        points: metres; at least one.
        granularity: spacing of the noise grid, metres.
        magnitude: factor of the noise, metres.
        generator: source of randomness.

    Raises:
        ValueError: if there is no point or one that is not finite, or granularity is not positive
            or too small for the extent of the points.
    """
    if len(points) == 0:
        raise ValueError("points must hold at least one point, got 0")
    if not granularity > 0:
        raise ValueError(f"granularity must be positive, got {granularity}")
    if not (np.isfinite(magnitude) and np.isfinite(points).all()):
        raise ValueError("points and magnitude must be finite, got NaN or infinity")
    # (3, n), since numpy is several times faster along contiguous axes
    position = np.ascontiguousarray(points.T)
    position = (position - position.min(axis=1, keepdims=True)) / granularity
    if np.prod(position.max(axis=1) + 3.0) > MAX_CELLS:
        position = np.stack([_without_gaps(axis) for axis in points.T / float(granularity)])
        if np.prod(position.max(axis=1) + 3.0) > MAX_CELLS:
            raise ValueError(f"granularity must suit the extent of the points, got {granularity}")
    position = position.astype(np.float32) + 1  # the noise has a border of one cell
    size = position.max(axis=1).astype(int) + 2
    noise = generator.standard_normal((3, *size), dtype=np.float32)
    for axis in (1, 2, 3, 1, 2, 3):
        noise = uniform_filter1d(noise, 3, axis=axis, mode="constant")
    shift = np.empty_like(position)
    for start in range(0, len(points), BLOCK):
        block = slice(start, start + BLOCK)
        shift[:, block] = magnitude * _interpolate(noise, position[:, block])
    return points + shift.T.astype(points.dtype)


def _without_gaps(position: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Positions along an axis, in cells, with empty runs cut to REACH: noise is unrelated beyond.

    One far point would ask for a grid that no memory holds.
    """
    position = position.astype(np.float64)
    cells = np.floor(position - position.min())
    places = np.unique(cells)
    too_far = (np.diff(places) - REACH).clip(0)
    shifts = np.append(0, too_far.cumsum())
    return position - position.min() - shifts[np.searchsorted(places, cells)]


def drop_voxels(
    n: int, generator: Generator, *, fraction: float = 0.2, probability: float = 0.2
) -> Int64[np.ndarray, " k"]:
    """Index of the voxels that are kept, ascending.

    Args:
        n: number of voxels; at least one stays.
        generator: source of randomness.
        fraction: part of the voxels to drop, in [0, 1).
        probability: of dropping at all.

    Raises:
        ValueError: if fraction is outside [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must lie in [0, 1), got {fraction}")
    if not _happens(generator, probability):
        return np.arange(n)
    n_kept = max(int(n * (1 - fraction)), min(n, 1))
    return np.sort(generator.choice(n, n_kept, replace=False))


@checked
def chromatic_changes(
    colors: Float[np.ndarray, "n 3"], generator: Generator
) -> Float[np.ndarray, "n 3"]:
    """Colours after contrast, translation and jitter, each with its published values.

    Args:
        colors: RGB in [0, 1].
        generator: source of randomness.
    """
    colors = chromatic_contrast(colors, generator)
    colors = chromatic_translation(colors, generator)
    return chromatic_jitter(colors, generator)


@checked
def chromatic_contrast(
    colors: Float[np.ndarray, "n 3"], generator: Generator, *, probability: float = 0.2
) -> Float[np.ndarray, "n 3"]:
    """Colours blended, by a random factor, with the ones stretched to [0, 1] in each channel.

    A channel of one single value is left alone.

    Args:
        colors: RGB in [0, 1].
        generator: source of randomness.
        probability: of changing anything.
    """
    if not _happens(generator, probability) or len(colors) == 0:
        return colors
    channels = np.ascontiguousarray(colors.T)  # numpy is several times faster along them
    low, high = channels.min(axis=1), channels.max(axis=1)
    extent = np.where(high > low, high - low, 1)
    blend = generator.random() * (high > low)
    factor, offset = 1 - blend + blend / extent, blend * low / extent
    return colors * factor.astype(colors.dtype) - offset.astype(colors.dtype)


@checked
def chromatic_translation(
    colors: Float[np.ndarray, "n 3"],
    generator: Generator,
    *,
    ratio: float = 0.1,
    probability: float = 0.95,
) -> Float[np.ndarray, "n 3"]:
    """Colours with one uniform offset in each channel, clipped to [0, 1].

    Args:
        colors: RGB in [0, 1].
        generator: source of randomness.
        ratio: largest offset.
        probability: of changing anything.
    """
    if not _happens(generator, probability):
        return colors
    return np.clip(colors + generator.uniform(-ratio, ratio, 3), 0, 1).astype(colors.dtype)


@checked
def chromatic_jitter(
    colors: Float[np.ndarray, "n 3"],
    generator: Generator,
    *,
    deviation: float = 0.05,
    probability: float = 0.95,
) -> Float[np.ndarray, "n 3"]:
    """Colours with Gaussian noise in each value, clipped to [0, 1].

    Args:
        colors: RGB in [0, 1].
        generator: source of randomness.
        deviation: standard deviation of the noise.
        probability: of changing anything.
    """
    if not _happens(generator, probability):
        return colors
    noise = generator.standard_normal(colors.shape, dtype=np.float32)
    return np.clip(colors + deviation * noise, 0, 1).astype(colors.dtype)


@checked
def random_shift(
    coords: Int[np.ndarray, "v 3"], generator: Generator, *, max_shift: int = 99
) -> Int[np.ndarray, "v 3"]:
    """Voxel coordinates with one uniform whole offset in each axis.

    Args:
        coords: grid coordinates.
        generator: source of randomness.
        max_shift: largest offset, voxels.

    Raises:
        ValueError: if max_shift is negative.
    """
    if max_shift < 0:
        raise ValueError(f"max_shift must be at least 0, got {max_shift}")
    return coords + generator.integers(0, max_shift, 3, dtype=coords.dtype, endpoint=True)


def _happens(generator: Generator, probability: float) -> bool:
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must lie in [0, 1], got {probability}")
    return bool(generator.random() < probability)


def _interpolate(
    grids: Float32[np.ndarray, "3 x y z"], position: Float32[np.ndarray, "3 n"]
) -> Float32[np.ndarray, "3 n"]:
    """Trilinear values of three grids at positions at least one cell inside their upper ends."""
    _, _, size_y, size_z = grids.shape
    cell = position.astype(np.int32)
    upper = position - cell
    weights = (1 - upper, upper)
    corner = ((cell[0] * size_y + cell[1]) * size_z + cell[2]).astype(np.int64)
    values = np.zeros_like(position)
    row, part = np.empty_like(corner), np.empty_like(values[0])
    for x, y, z in product((0, 1), repeat=3):
        weight = weights[x][0] * weights[y][1] * weights[z][2]
        np.add(corner, (x * size_y + y) * size_z + z, out=row)
        for value, grid in zip(values, grids, strict=True):
            grid.ravel().take(row, mode="clip", out=part)
            part *= weight
            value += part
    return values
