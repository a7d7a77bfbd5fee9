"""Neighbors of points: those in a ball, and the three nearest.

Qi et al., "PointNet++", NeurIPS 2017, Sec. 3.2 (ball query) and Sec. 3.4 (three nearest), with
the order and the padding of the published operators. Exact, in float32 or the wider type of the
points; a squared distance is dx^2 + dy^2 + dz^2, each operation rounded. On a CPU compiled loops
search, elsewhere torch's operations compare every pair, some 2^24 of them at a time.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_buckets import buckets_of, compiled_for_finite, squared_gaps
from pcl_backbones.positions import positions

PAIRS = 1 << 24  # of points whose distances are in memory at once


@checked
def ball_query(
    points: Float[Tensor, "b n 3"],
    centers: Float[Tensor, "b m 3"],
    *,
    radius: float | int,
    count: int,
) -> Int64[Tensor, "b m count"]:
    """Ids of the first points within a ball around each center: |p - c|^2 < radius^2.

    The lowest ids, ascending. Where there are fewer than `count` the rest of the row repeats its
    first id, and a row without any holds 0.

    Args:
        points: world coordinates, metres.
        centers: world coordinates, metres.
        radius: of the ball, metres; squared in the type of the points.
        count: ids a center.

    Raises:
        ValueError: if there is no point, radius is not above 0, count is below 1, or positions
            are not finite or 10^18 from zero.

    Example:
        >>> points = torch.tensor([[[0.0, 0, 0], [9, 0, 0], [1, 0, 0], [3, 0, 0]]])
        >>> ball_query(points, points[:, :2], radius=2.0, count=3)
        tensor([[[0, 2, 0],
                 [1, 1, 1]]])
    """
    if points.shape[1] < 1:
        raise ValueError("points must hold at least one point a scene, got none")
    if not 0 < radius < float("inf"):
        raise ValueError(f"radius must be above 0 and finite, got {radius}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    points, centers = positions(points=points, centers=centers)
    limit = torch.tensor(radius, dtype=points.dtype).square().numpy()[()]
    found = torch.zeros(*centers.shape[:2], count, dtype=torch.int64, device=points.device)
    for scene, around, ids in zip(points, centers, found, strict=True):
        if points.device.type == "cpu":
            cloud = scene.numpy()
            _fill_with_first(buckets_of(cloud), cloud, around.numpy(), limit, ids.numpy())
        else:
            _fill_in_torch(scene, around, float(limit), ids)
    return found


@compiled_for_finite
def _fill_with_first(buckets, points, centers, limit, ids):
    """Rows of the lowest ids within the limit, padded.

    Small balls are searched by bucket. One that reaches many points, some third of which it
    holds, is full after a short scan of all points in their order.
    """
    count, reach = ids.shape[1], len(points) * ids.shape[1] / 2
    gaps, found = np.empty(len(buckets.starts) - 1, points.dtype), np.empty_like(buckets.ids)
    for row in range(len(centers)):
        x, y, z = centers[row]
        squared_gaps(buckets, x, y, z, gaps)
        n_near = 0
        for b in range(len(gaps)):
            if gaps[b] < limit:
                n_near += buckets.starts[b + 1] - buckets.starts[b]
        if n_near * n_near > reach:
            n_found = _scan(points, x, y, z, limit, ids[row])
        else:
            n_found = min(count, _collect(buckets, gaps, x, y, z, limit, found))
            ids[row, :n_found] = found[:n_found]
        if n_found:
            ids[row, n_found:] = ids[row, 0]


@compiled_for_finite
def _scan(points, x, y, z, limit, ids):
    """Fill in ids within the limit, in their order, until there is no place; how many."""
    n_found = 0
    for i in range(len(points)):
        dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
        if dx * dx + dy * dy + dz * dz < limit:
            ids[n_found] = i
            n_found += 1
            if n_found == len(ids):
                break
    return n_found


@compiled_for_finite
def _collect(buckets, gaps, x, y, z, limit, found):
    """Put all ids within the limit into `found`, ascending; how many."""
    n_found = 0
    for b in range(len(gaps)):
        if gaps[b] < limit:
            for i in range(buckets.starts[b], buckets.starts[b + 1]):
                dx, dy, dz = buckets.x[i] - x, buckets.y[i] - y, buckets.z[i] - z
                found[n_found] = buckets.ids[i]
                n_found += dx * dx + dy * dy + dz * dz < limit
    found[:n_found].sort()
    return n_found


def _fill_in_torch(points: Tensor, centers: Tensor, limit: float, ids: Tensor) -> None:
    """The same by torch's operations."""
    count, n_rows = ids.shape[1], max(1, PAIRS // len(points))
    for part, out in zip(centers.split(n_rows), ids.split(n_rows), strict=True):
        rows, found = (_squared_distances(part, points) < limit).nonzero(as_tuple=True)
        n_found = torch.bincount(rows, minlength=len(part))
        starts = n_found.cumsum(0) - n_found
        slots = torch.arange(len(rows), device=rows.device) - starts[rows]
        has_any = n_found > 0
        out[has_any] = found[starts[has_any], None]
        is_kept = slots < count
        out[rows[is_kept], slots[is_kept]] = found[is_kept]


@checked
def three_nearest(
    points: Float[Tensor, "b n 3"], known: Float[Tensor, "b m 3"]
) -> tuple[Float[Tensor, "b n 3"], Int64[Tensor, "b n 3"]]:
    """Distances, metres, and ids of the three known points nearest to each point, nearest first.

    Of equal distances the lower id comes first. No gradient flows through the distances.

    Args:
        points: world coordinates, metres.
        known: world coordinates, metres; at least three a scene.

    Raises:
        ValueError: if fewer are known, or positions are not finite or 10^18 from zero.

    Example:
        >>> known = torch.tensor([[[0.0, 0, 0], [9, 0, 0], [1, 0, 0], [3, 0, 0]]])
        >>> three_nearest(known[:, :1], known)
        (tensor([[[0., 1., 3.]]]), tensor([[[0, 2, 3]]]))
    """
    if known.shape[1] < 3:
        raise ValueError(f"known must hold at least 3 points a scene, got {known.shape[1]}")
    points, known = positions(points=points, known=known)
    squares = torch.empty_like(points)
    ids = torch.empty(points.shape, dtype=torch.int64, device=points.device)
    for scene, others, square, found in zip(points, known, squares, ids, strict=True):
        if points.device.type == "cpu":
            buckets = buckets_of(others.numpy())
            _fill_nearest(buckets, scene.numpy(), square.numpy(), found.numpy())
        else:
            _fill_nearest_in_torch(scene, others, square, found)
    return squares.sqrt(), ids


@compiled_for_finite
def _fill_nearest(buckets, points, squares, ids):
    """Squared distances and ids of the three nearest, from the nearest bucket on."""
    gaps = np.empty(len(buckets.starts) - 1, points.dtype)
    for row in range(len(points)):
        x, y, z = points[row]
        squares[row], ids[row] = np.inf, len(buckets.ids)
        squared_gaps(buckets, x, y, z, gaps)
        start = gaps.argmin()
        _insert_nearest(buckets, start, x, y, z, squares[row], ids[row])
        for b in range(len(gaps)):
            if gaps[b] <= squares[row, 2] and b != start:
                _insert_nearest(buckets, b, x, y, z, squares[row], ids[row])


@compiled_for_finite
def _insert_nearest(buckets, b, x, y, z, squares, ids):
    """Keep three of those held and of a bucket's, by squared distance and then by id."""
    for i in range(buckets.starts[b], buckets.starts[b + 1]):
        dx, dy, dz = buckets.x[i] - x, buckets.y[i] - y, buckets.z[i] - z
        square, j = dx * dx + dy * dy + dz * dz, buckets.ids[i]
        for k in range(3):
            if square < squares[k] or (square == squares[k] and j < ids[k]):
                square, squares[k] = squares[k], square
                j, ids[k] = ids[k], j


def _fill_nearest_in_torch(points: Tensor, known: Tensor, squares: Tensor, ids: Tensor) -> None:
    """The same by torch's operations: three times the first of the least."""
    for start in range(0, len(points), max(1, PAIRS // len(known))):
        part = slice(start, start + max(1, PAIRS // len(known)))
        left = _squared_distances(points[part], known)
        for k in range(3):
            nearest = left.argmin(dim=1, keepdim=True)
            ids[part, k], squares[part, k] = nearest[:, 0], left.gather(1, nearest)[:, 0]
            left.scatter_(1, nearest, torch.inf)


def _squared_distances(rows: Tensor, columns: Tensor) -> Float[Tensor, "m n"]:
    """dx^2 + dy^2 + dz^2 of every pair, rounded as in the compiled loops."""
    dx, dy, dz = (columns[:, k] - rows[:, k, None] for k in range(3))
    return dx * dx + dy * dy + dz * dz
