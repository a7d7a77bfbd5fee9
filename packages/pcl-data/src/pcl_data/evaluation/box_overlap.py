"""Overlap of boxes that stand upright and turn about z, and what follows from it.

The IoU is the one of VoteNet (Qi et al., ICCV 2019; `box_util.py`): the area that two rectangles
share from above, times the height that they share. Where VoteNet clips polygons one pair at a time,
we integrate, for all pairs at once, the length of the slices of the second rectangle that lie in
the first. That length is linear between the places where an edge of one crosses an edge of the
other, so the midpoint of each stretch gives its area exactly.
"""

import numpy as np
from jaxtyping import Float, Float64, Int64

FAR = 1e50  # volumes of boxes and their products stay finite
CHUNK = 2**14  # pairs at once: about 20 arrays of (pairs, 13) stay small


def box_iou(
    boxes: Float[np.ndarray, "k columns"], others: Float[np.ndarray, "m columns2"]
) -> Float64[np.ndarray, "k m"]:
    """Intersection over union of every box with every other; 0 where both have no volume.

    Args:
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise); further columns are not read.
        others: the same.

    Raises:
        ValueError: if there are fewer than 7 columns, a value is not finite or 10^50 from zero, or
            a size is negative.

    Example:
        >>> import numpy as np
        >>> cube = np.array([[0.0, 0, 0, 1, 1, 1, 0]])
        >>> box_iou(cube, cube + [[0.5, 0, 0, 0, 0, 0, np.pi / 2]]).round(4)
        array([[0.3333]])
    """
    boxes, others = checked_boxes("boxes", boxes), checked_boxes("others", others)
    iou = np.zeros((len(boxes), len(others)))
    row, column = _may_touch(boxes, others)
    for first in range(0, len(row), CHUNK):
        part = slice(first, first + CHUNK)
        iou[row[part], column[part]] = _paired_iou(boxes[row[part]], others[column[part]])
    return iou


def suppress_boxes(
    boxes: Float[np.ndarray, "m columns"], scores: Float[np.ndarray, " m"], *, max_iou: float = 0.25
) -> Int64[np.ndarray, " kept"]:
    """Rows of the boxes that stay after non-maximum suppression, best score first.

    From the best score down, a box suppresses the later ones with which the IoU is above `max_iou`.
    As in VoteNet (`ap_helper.py`, `nms.py`), it is the IoU of the axis-aligned boxes around them,
    whatever their heading; an eighth column is a class, and only boxes of one class compete. Equal
    scores keep their order.

    Args:
        boxes: as in `box_iou`, or with the class in column 7.
        scores: confidences; only their order matters.
        max_iou: fraction 0-1; VoteNet uses 0.25.

    Raises:
        ValueError: as `box_iou`, if max_iou is outside [0, 1], or if the scores are not as many as
            the boxes.

    Example:
        >>> import numpy as np
        >>> boxes = np.array([[0.0, 0, 0, 1, 1, 1, 0], [0.1, 0, 0, 1, 1, 1, 0]])
        >>> suppress_boxes(boxes, np.array([0.2, 0.9])).tolist()
        [1]
    """
    if not 0 <= max_iou <= 1:
        raise ValueError(f"max_iou must lie in [0, 1], got {max_iou}")
    boxes = checked_boxes("boxes", boxes)
    check_scores(scores, len(boxes))
    around = boxes.copy()
    cos, sin = np.abs(np.cos(boxes[:, 6])), np.abs(np.sin(boxes[:, 6]))
    around[:, 3] = cos * boxes[:, 3] + sin * boxes[:, 4]
    around[:, 4] = sin * boxes[:, 3] + cos * boxes[:, 4]
    around[:, 6] = 0
    competes = box_iou(around, around) > max_iou
    if boxes.shape[1] > 7:
        competes &= boxes[:, 7, None] == boxes[:, 7]
    is_free = np.ones(len(boxes), bool)
    kept = []
    for row in np.argsort(-scores, kind="stable"):
        if is_free[row]:
            kept.append(row)
            is_free &= ~competes[row]
    return np.array(kept, np.int64)


def checked_boxes(name: str, boxes: np.ndarray) -> Float64[np.ndarray, "k c"]:
    """The boxes in double precision.

    Raises:
        ValueError: if there are fewer than 7 columns, a value is not finite, or a size is negative.
    """
    if boxes.ndim != 2 or boxes.shape[1] < 7:
        raise ValueError(f"{name} must have shape (k, 7) or more columns, got {boxes.shape}")
    if not np.isfinite(boxes).all():
        raise ValueError(f"{name} must be finite, got {boxes[~np.isfinite(boxes)][0]}")
    boxes = boxes.astype(np.float64)
    if boxes.size and np.abs(boxes).max() >= FAR:
        raise ValueError(f"{name} must lie within {FAR:g} of zero, got {np.abs(boxes).max():g}")
    if boxes.size and boxes[:, 3:6].min() < 0:
        raise ValueError(f"{name} must have sizes of at least 0, got {boxes[:, 3:6].min()}")
    return boxes


def check_scores(scores: np.ndarray, count: int) -> None:
    """Return quietly if `scores` is a finite vector with an entry for each of `count` boxes."""
    if scores.shape != (count,):
        raise ValueError(f"scores must have shape ({count},), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")


def _may_touch(
    boxes: Float64[np.ndarray, "k c"], others: Float64[np.ndarray, "m d"]
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """Pairs whose heights overlap and whose circumscribed circles, seen from above, do."""
    radius, other_radius = (np.hypot(x[:, 3], x[:, 4]) / 2 for x in (boxes, others))
    dx, dy, dz = (np.abs(boxes[:, None, i] - others[:, i]) for i in range(3))
    near = dx**2 + dy**2 < (radius[:, None] + other_radius) ** 2
    near &= dz < (boxes[:, None, 5] + others[:, 5]) / 2
    row, column = np.nonzero(near)
    return row, column


def _paired_iou(
    first: Float64[np.ndarray, "p c"], second: Float64[np.ndarray, "p d"]
) -> Float64[np.ndarray, " p"]:
    """IoU of the boxes in the same row."""
    rise, half, other_half = second[:, 2] - first[:, 2], first[:, 5] / 2, second[:, 5] / 2
    height = np.minimum(half, rise + other_half) - np.maximum(-half, rise - other_half)
    shared = _shared_area(first, second) * height
    union = np.prod(first[:, 3:6], axis=1) + np.prod(second[:, 3:6], axis=1) - shared
    return np.divide(shared, union, out=np.zeros(len(union)), where=union > 0).clip(0, 1)


def _shared_area(
    first: Float64[np.ndarray, "p c"], second: Float64[np.ndarray, "p d"]
) -> Float64[np.ndarray, " p"]:
    """Area from above that the two rectangles of each row share.

    In the frame of the first, the second is the points (x, y) with |u . (x - cx, y - cy)| <= l / 2
    for its lengthwise axis u = (cos, sin), and the like for its crosswise axis (-sin, cos).
    """
    turn = second[:, 6] - first[:, 6]
    axes = np.stack([np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn)], 1).reshape(-1, 2, 2)
    axes[axes == 0] = np.finfo(float).tiny  # parallel edges cross very far away
    cos, sin = np.cos(first[:, 6]), np.sin(first[:, 6])
    dx, dy = second[:, 0] - first[:, 0], second[:, 1] - first[:, 1]
    centre = np.stack([cos * dx + sin * dy, cos * dy - sin * dx], 1)
    half, other_half = first[:, 3:5] / 2, second[:, 3:5] / 2
    stops = np.sort(_crossings(half, other_half, axes, centre), axis=1)
    middle = (stops[:, 1:] + stops[:, :-1]) / 2
    low, high = -half[:, 1, None], half[:, 1, None]
    for axis, reach in zip(axes.transpose(1, 2, 0), other_half.T, strict=True):
        along = -axis[0, :, None] * (middle - centre[:, :1])
        with np.errstate(over="ignore"):
            ends = np.stack([along - reach[:, None], along + reach[:, None]]) / axis[1, :, None]
        ends += centre[:, 1:]
        low, high = np.maximum(low, ends.min(axis=0)), np.minimum(high, ends.max(axis=0))
    return (np.diff(stops, axis=1) * (high - low).clip(0)).sum(axis=1)


def _crossings(
    half: Float64[np.ndarray, "p 2"],
    other_half: Float64[np.ndarray, "p 2"],
    axes: Float64[np.ndarray, "p 2 2"],
    centre: Float64[np.ndarray, "p 2"],
) -> Float64[np.ndarray, "p 14"]:
    """The x at which an edge begins, ends or crosses another, within the first rectangle."""
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    corners = centre[:, None, :1] + (signs * other_half[:, None]) @ axes[:, :, :1]
    # edges of the second at the upper and lower edge of the first: u . (x - cx, y - cy) = +-reach
    y = half[:, 1, None] * signs[:, 0] - centre[:, 1, None]  # (p, 4)
    reach = other_half[:, :, None] * signs[:, 1]  # (p, 2, 4)
    with np.errstate(over="ignore"):
        across = (reach - axes[:, :, 1:] * y[:, None]) / axes[:, :, :1] + centre[:, None, :1]
    ends = half[:, :1] * np.array([-1, 1])
    stops = np.concatenate([corners[:, :, 0], across.reshape(len(half), 8), ends], axis=1)
    return np.clip(stops, -half[:, :1], half[:, :1])
