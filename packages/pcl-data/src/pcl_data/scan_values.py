"""How the numbers in a file become those of a scene: one rule for each array, whatever the format.

What a scale is, is decided by most of the values and never by the largest one. What does not fit is
counted in a warning where the rest can be used, and is an error where it cannot.
"""

import os

import numpy as np
from jaxtyping import Float32, Float64, Int64, Shaped, UInt8

from pcl_data.file_errors import warn_about
from pcl_data.label_set import IGNORE_INDEX

FAR = 1024.0  # metres; beyond it neighbouring float32 numbers are more than 0.1 mm apart
_COLOR_SHARE = 0.9  # of the positive values that the scale of colours must hold
_INTENSITY_SHARE = 0.999
_PTS_INTENSITY = (-2048, 2047)  # the range of Cyclone and of Semantic3D
_BLACK = 255

Owner = str | os.PathLike[str]


def far_origin(points: Shaped[np.ndarray, "n 3"]) -> Float64[np.ndarray, "3"] | None:
    """Whole metres near the bulk of the points, if a coordinate lies beyond `FAR`.

    None otherwise, and if it would be zero. It is the median of each axis, rounded down: a few far
    points do not draw it away from the others.

    Example:
        >>> import numpy as np
        >>> far_origin(np.array([[388096.25, 3.0, 0.0], [388100.5, 4.0, 1.0]])).tolist()
        [388098.0, 3.0, 0.0]
    """
    if not points.size or max(abs(float(points.min())), abs(float(points.max()))) <= FAR:
        return None
    origin = np.array([np.floor(np.median(axis.astype(np.float64))) for axis in points.T])
    return origin if origin.any() else None


def near_points(
    points: Shaped[np.ndarray, "n 3"], origin: Float64[np.ndarray, "3"] | None
) -> Float32[np.ndarray, "n 3"]:
    """The points without the origin, which is taken off as float64."""
    if origin is None:
        return as_type(points, np.float32)
    moved = np.empty(points.shape, np.float32)
    for axis in range(3):
        moved[:, axis] = points[:, axis].astype(np.float64) - origin[axis]
    return moved


def eight_bit_colors(colors: Shaped[np.ndarray, "n 3"], owner: Owner) -> UInt8[np.ndarray, "n 3"]:
    """Colours of 0-255, of fractions 0-1, 0-255 or 0-65535.

    The scale is the least that nine in ten of the values above 0 do not exceed; whole numbers are
    no fractions, unless they are floats that do not exceed 1. Values of 16 bits are divided by 256
    and rounded down, others rounded. Values outside the scale are clipped, and a colour that is not
    finite is black, with a warning that counts the points.

    Raises:
        ValueError: if more than a tenth of the values lie outside the scale.
    """
    if colors.dtype == np.uint8:
        return as_type(colors, np.uint8)
    is_known = np.all(np.isfinite(colors), axis=1)
    levels = np.where(is_known[:, None], colors, 0)
    scale = full_scale(levels, _COLOR_SHARE)
    if scale == 1:
        levels = np.rint(levels.astype(np.float64) * _BLACK)
    elif scale == 65535:
        levels = np.floor(levels / 256.0)
    else:
        levels = np.rint(levels)
    is_outside = (levels < 0) | (levels > 255)
    if scale is None or is_outside.sum() > (1 - _COLOR_SHARE) * levels.size:
        raise ValueError(
            "colors must lie in [0, 1] as fractions, [0, 255] or [0, 65535], "
            f"got [{colors[is_known].min():g}, {colors[is_known].max():g}]"
        )
    report(owner, ~is_known, "colours are not finite: they become black")
    outside = np.any(is_outside, axis=1)
    report(
        owner,
        outside,
        f"colours lie outside [0, {scale}], like {_first(colors, outside)}: they are clipped",
    )
    return np.clip(levels, 0, 255).astype(np.uint8)


def unit_intensity(
    intensity: Shaped[np.ndarray, " n"], owner: Owner
) -> Float32[np.ndarray, " n"] | None:
    """Intensity as a fraction of the full scale: 1, 255 or 65535, or -2048 to 2047.

    The scale is the least that 999 in 1000 of the values above 0 do not exceed; whole numbers are
    no fractions, unless they are floats that do not exceed 1. A value that is not finite is 0, and
    one outside the scale is clipped, with a warning that counts them. Values of no known scale are
    left out, with a warning: None.
    """
    if not intensity.size:
        return as_type(intensity, np.float32)
    is_known = np.isfinite(intensity)
    values = intensity if is_known.all() else np.where(is_known, intensity, 0)
    low, high = float(values.min()), float(values.max())
    scale = full_scale(values, _INTENSITY_SHARE)
    n_below = int((values < 0).sum())
    if n_below > (1 - _INTENSITY_SHARE) * len(values) or scale is None:
        least, most = _PTS_INTENSITY
        if not (_is_whole(values) and least <= low and high <= most):
            warn_about(
                owner, f"intensity of [{low:g}, {high:g}] has no known scale and is left out"
            )
            return None
        fractions = (values.astype(np.float64) - least) / (most - least)
    else:
        fractions = values if scale == 1 else values.astype(np.float64) / scale
    report(owner, ~is_known, "intensities are not finite: they become 0")
    is_outside = (fractions < 0) | (fractions > 1)
    if is_outside.any():
        found = _first(intensity, is_outside)
        report(
            owner,
            is_outside,
            f"intensities lie outside [0, {scale}], like {found}: they are clipped",
        )
        fractions = np.clip(fractions, 0, 1)
    return as_type(fractions, np.float32)


def full_scale(values: np.ndarray, share: float) -> int | None:
    """The least of 1, 255 and 65535 that a share of the values above 0 do not exceed; None if none.

    Half a step of 1/255 above the scale is rounding, and does not exceed it.
    """
    positive = values[values > 0]
    is_whole = values.dtype.kind in "iu" or (
        positive.size > 0 and positive.max() > 1 and _is_whole(positive)
    )
    for scale in (255, 65535) if is_whole else (1, 255, 65535):
        if not positive.size or (positive <= scale * (1 + 0.5 / 255)).mean() >= share:
            return scale
    return None


def known_normals(normals: Shaped[np.ndarray, "n 3"], owner: Owner) -> Float32[np.ndarray, "n 3"]:
    """Normals; those that are not finite become 0 0 0, with a warning that counts them."""
    normals = as_type(normals, np.float32)
    is_known = np.all(np.isfinite(normals), axis=1)
    if is_known.all():
        return normals
    report(owner, ~is_known, "normals are not finite: they become 0 0 0")
    return np.where(is_known[:, None], normals, np.float32(0))


def whole_ids(
    field: str, ids: Shaped[np.ndarray, " n"], owner: Owner, n_known: int | None = None
) -> Int64[np.ndarray, " n"]:
    """Ids as int64, with -1 for what is clearly none, and a warning that counts it.

    None are: NaN and infinite numbers; negative numbers, if they are all the same (-100, -1e9); and
    the largest number of an unsigned type of 16 bits or more (65535), or of 8 bits where it can be
    no class.

    Args:
        field: name of the array.
        ids: of any type of numbers.
        owner: the file.
        n_known: if the ids are labels of a known set, the number above the largest of them.

    Raises:
        ValueError: if another id is no whole number below 2**63.
    """
    if np.issubdtype(ids.dtype, np.int64):
        whole, is_known = as_type(ids, np.int64), None
    else:
        is_known = np.isfinite(ids)
        with np.errstate(invalid="ignore"):
            whole = np.where(is_known, ids, IGNORE_INDEX).astype(np.int64)
        is_odd = is_known & (whole != ids)
        if is_odd.any():
            raise ValueError(f"{field} must be whole numbers below 2**63, got {ids[is_odd][0]}")
        report(owner, ~is_known, f"{field} are not finite: they count as none (-1)")
    for mark in _marks(whole, ids.dtype, n_known):
        is_mark = whole == mark
        whole = np.where(is_mark, IGNORE_INDEX, whole)
        report(owner, is_mark, f"{field} are {mark}: they count as none (-1)")
    return whole


def _marks(ids: np.ndarray, dtype: np.dtype, n_known: int | None) -> list[int]:
    """Ids of no thing, other than -1."""
    if not ids.size:
        return []
    low, high = int(ids.min()), int(ids.max())
    marks = [low] if low < IGNORE_INDEX and (ids[ids < IGNORE_INDEX] == low).all() else []
    if dtype.kind == "u" and dtype.itemsize < 8 and high == np.iinfo(dtype).max:
        is_class = n_known is None or high < n_known
        marks += [high] if dtype.itemsize > 1 or not is_class else []
    return marks


def faces_of_points(
    faces: Shaped[np.ndarray, "f 3"], is_kept: np.ndarray | None, n_points: int, owner: Owner
) -> Int64[np.ndarray, "g 3"]:
    """Faces among the kept points, renumbered.

    Faces of points that do not exist are left out, with a warning that counts them.
    """
    is_real = np.all((faces >= 0) & (faces < n_points), axis=1)
    if not is_real.all():
        report(owner, ~is_real, f"faces name points outside [0, {n_points}): they are left out")
        faces = faces[is_real]
    faces = as_type(faces, np.int64)
    if is_kept is None:
        return faces
    new_row = np.cumsum(is_kept) - 1
    return new_row[faces[is_kept[faces].all(axis=1)]]


def report(owner: Owner, is_odd: np.ndarray, what: str) -> None:
    """Warn of how many rows are odd, if there are any: `7 of 4000 labels are ...`."""
    n_odd = int(is_odd.sum())
    if n_odd:
        warn_about(owner, f"{n_odd} of {len(is_odd)} {what}")


def as_type(array: np.ndarray, dtype: type) -> np.ndarray:
    """The array in a native type, itself if it has it already: memory-mapped ones stay so."""
    if array.dtype == dtype and array.dtype.isnative and array.flags.c_contiguous:
        return array
    return np.ascontiguousarray(array, dtype)


def _is_whole(values: np.ndarray) -> bool:
    return bool(values.dtype.kind in "iu" or (values == np.rint(values)).all())


def _first(values: np.ndarray, is_odd: np.ndarray) -> object:
    return values[is_odd][0].tolist() if is_odd.any() else None
