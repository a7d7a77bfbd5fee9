"""Furthest point sampling: points of a cloud that cover it evenly.

Eldar et al., "The Farthest Point Strategy for Progressive Image Sampling", IEEE TIP 1997, as Qi
et al., "PointNet++", NeurIPS 2017, Sec. 3.2, choose centers. The published operator never chooses
points within 3.2 cm of the origin, where its batches are padded with zeros. Here every point
counts, so that a shift of the scene changes nothing but rounding.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_buckets import buckets_of, compiled_for_finite, squared_gaps
from pcl_backbones.positions import positions


@checked
def furthest_points(points: Float[Tensor, "b n 3"], count: int) -> Int64[Tensor, "b count"]:
    """Ids of points of each scene, each the furthest from all before it.

    s_0 = 0 and s_k = argmax_i min_{j < k} |p_i - p_{s_j}|^2; ties go to the lowest id. Once every
    place has been chosen all distances are 0, and the first point is chosen again and again. The
    first of m ids are those of fewer points.

    Exact, in float32 or the wider type of the points. On a CPU points lie in buckets, and those
    that the last choice is too far from to change are left out. Elsewhere every distance is
    computed.

    Args:
        points: world coordinates, metres.
        count: how many to choose, from 1 to n.

    Raises:
        ValueError: if count is out of range, or points are not finite or 10^18 from zero.

    Example:
        >>> points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [5, 0, 0], [2, 0, 0]]])
        >>> furthest_points(points, 3)
        tensor([[0, 2, 3]])
    """
    n = points.shape[1]
    if not 1 <= count <= n:
        raise ValueError(f"count must lie in [1, {n}], the number of points, got {count}")
    (points,) = positions(points=points)
    if points.device.type != "cpu":
        return _in_torch(points, count)
    chosen = np.zeros((len(points), count), np.int64)
    for scene, ids in zip(points.numpy(), chosen, strict=True):
        _choose(scene, buckets_of(scene), ids)
    return torch.from_numpy(chosen)


@compiled_for_finite
def _choose(points, buckets, chosen):
    """Fill in the ids after the first, which is there already."""
    n_buckets, kind = len(buckets.starts) - 1, points.dtype
    nearest = np.full(len(points), np.inf, kind)  # squared distance to the closest chosen point
    furthest, gaps = np.full(n_buckets, np.inf, kind), np.empty(n_buckets, kind)
    for k in range(1, len(chosen)):
        x, y, z = points[chosen[k - 1]]
        squared_gaps(buckets, x, y, z, gaps)
        for b in range(n_buckets):
            if gaps[b] < furthest[b]:
                i, j = buckets.starts[b], buckets.starts[b + 1]
                furthest[b] = _come_closer(
                    buckets.x[i:j], buckets.y[i:j], buckets.z[i:j], nearest[i:j], x, y, z
                )
        chosen[k] = _first_of_furthest(furthest, nearest, buckets)


@compiled_for_finite
def _come_closer(xs, ys, zs, nearest, x, y, z):
    """Lower the squared distances of a bucket to those from a new point; their maximum."""
    most = nearest.dtype.type(0)
    for i in range(len(nearest)):
        dx, dy, dz = xs[i] - x, ys[i] - y, zs[i] - z
        nearest[i] = min(nearest[i], dx * dx + dy * dy + dz * dz)
        most = max(most, nearest[i])
    return most


@compiled_for_finite
def _first_of_furthest(furthest, nearest, buckets):
    """The lowest id of the points whose squared distance is the greatest of all."""
    most, first = nearest.dtype.type(0), len(nearest)
    for b in range(len(furthest)):  # a loop of its own, in vector registers
        most = max(most, furthest[b])
    for b in range(len(furthest)):
        if furthest[b] == most:
            i = buckets.starts[b]
            while nearest[i] != most:
                i += 1
            first = min(first, buckets.ids[i])
    return first


def _in_torch(points: Float[Tensor, "b n 3"], count: int) -> Int64[Tensor, "b count"]:
    """The same by torch's operations, in their order of rounding."""
    rows = torch.arange(len(points), device=points.device)
    chosen = torch.zeros(len(points), count, dtype=torch.int64, device=points.device)
    nearest = points.new_full(points.shape[:2], torch.inf)
    for k in range(1, count):
        dx, dy, dz = (points - points[rows, chosen[:, k - 1], None]).unbind(2)
        nearest = torch.minimum(nearest, dx * dx + dy * dy + dz * dz)
        chosen[:, k] = nearest.argmax(dim=1)  # the first of equal ones
    return chosen
