"""Points in buckets of near ones, so that a search leaves out the buckets that are too far.

The leaves of a k-d tree (Bentley, "Multidimensional Binary Search Trees", CACM 1975) with the box
around each, as Han et al., "QuickFPS", IEEE TCAD 2023, use them for furthest point sampling. A
part with more than BUCKET_SIZE points is cut in the middle of its longest edge.

The square of the gap between a box and a position is computed with the operations of a squared
distance in their order. Each of them rounds a smaller number to a smaller or the same one, so
that the gap is never above the computed distance to a point of the bucket: nothing is missed.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import NamedTuple

import numpy as np
from numba import njit

from pcl_backbones.kernel_cache import compiled_once

BUCKET_SIZE = 128


class Buckets(NamedTuple):
    """Points of one cloud, bucket after bucket.

    Attributes:
        x: first coordinates, metres.
        y: second ones.
        z: third ones.
        ids: the place of each in the cloud; they rise within a bucket.
        starts: (k + 1,) where each bucket starts, and the end.
        boxes: (6, k) least x, y and z of each bucket, then the greatest.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    ids: np.ndarray
    starts: np.ndarray
    boxes: np.ndarray


def compiled_for_finite(function: Callable) -> Callable:
    """The function as machine code that takes no number for NaN and zeros for equal.

    Maxima and minima then run in vector registers. Nothing is reordered or fused: sums and
    products are rounded as numpy and torch round them.
    """
    flags = {"nnan", "nsz"}
    return compiled_once(
        lambda cache: njit(nogil=True, cache=cache, fastmath=flags)(unwrap(function))
    )


def buckets_of(points: np.ndarray) -> Buckets:
    """The buckets of a cloud, (n, 3) of finite numbers.

    Example:
        >>> buckets = buckets_of(np.arange(12, dtype=np.float32).reshape(4, 3))
        >>> buckets.ids, buckets.boxes[:, 0]
        (array([0, 1, 2, 3]), array([ 0.,  1.,  2.,  9., 10., 11.], dtype=float32))
    """
    x, y, z = np.ascontiguousarray(points.T)
    ids = np.arange(len(points))
    return Buckets(x, y, z, ids, *_cut(x, y, z, ids, BUCKET_SIZE))


@compiled_for_finite
def squared_gaps(buckets, x, y, z, out):
    """Squares of the distances from a position to the boxes, into `out`; 0 from inside."""
    zero = out.dtype.type(0)
    x0, y0, z0, x1, y1, z1 = buckets.boxes
    for k in range(len(out)):
        dx = max(max(x0[k] - x, x - x1[k]), zero)
        dy = max(max(y0[k] - y, y - y1[k]), zero)
        dz = max(max(z0[k] - z, z - z1[k]), zero)
        out[k] = dx * dx + dy * dy + dz * dz


@compiled_for_finite
def _cut(x, y, z, ids, size):
    """Order points and ids by bucket, in place; where the buckets start, and their boxes."""
    n, n_done, n_todo = len(ids), 0, 1
    starts, boxes = np.empty(n + 1, np.int64), np.empty((6, n), x.dtype)
    spare, spare_ids = np.empty((3, n), x.dtype), np.empty(n, np.int64)
    todo = np.empty((n + 1, 2), np.int64)  # no more parts than points
    todo[0, 0], todo[0, 1] = 0, n
    while n_todo:
        n_todo -= 1
        start, stop = todo[n_todo]
        axis, middle = _longest_edge(x[start:stop], y[start:stop], z[start:stop], boxes[:, n_done])
        if stop - start <= size or axis < 0:
            starts[n_done] = start
            n_done += 1
            continue
        is_high = (x if axis == 0 else y if axis == 1 else z)[start:stop] > middle
        _part(x[start:stop], is_high, spare[0])
        _part(y[start:stop], is_high, spare[1])
        _part(z[start:stop], is_high, spare[2])
        cut = start + _part(ids[start:stop], is_high, spare_ids)
        todo[n_todo, 0], todo[n_todo, 1] = cut, stop
        todo[n_todo + 1, 0], todo[n_todo + 1, 1] = start, cut
        n_todo += 2
    starts[n_done] = n
    return starts[: n_done + 1].copy(), boxes[:, :n_done].copy()


@compiled_for_finite
def _longest_edge(x, y, z, box):
    """The axis of the longest edge of the box around points, or -1 if all are one; its middle."""
    axis, longest, middle = -1, x.dtype.type(0), x.dtype.type(0)
    for k, values in enumerate((x, y, z)):
        low, high = values[0], values[0]
        for i in range(len(values)):
            low, high = min(low, values[i]), max(high, values[i])
        box[k], box[k + 3] = low, high
        if high - low > longest:
            axis, longest = k, high - low
            middle = low + longest * x.dtype.type(0.5)
            if middle >= high:  # no number lies between
                middle = low
    return axis, middle


@compiled_for_finite
def _part(values, is_high, spare):
    """The low values first, then the high ones, each in their order; how many are low."""
    n_low, n_high = 0, 0
    for i in range(len(values)):
        value = values[i]
        values[n_low] = value
        spare[n_high] = value
        n_low += not is_high[i]
        n_high += is_high[i]
    values[n_low:] = spare[:n_high]
    return n_low
