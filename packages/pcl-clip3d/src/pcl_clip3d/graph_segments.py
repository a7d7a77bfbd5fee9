"""Sets of points that edges of low weight join.

Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 2004, algorithm 1,
with the threshold of section 3.1 and the second pass for small sets of their program.
"""

import math

import numpy as np
from jaxtyping import Float64, Int64

from pcl_clip3d.machine_code import compiled


def segment_graph(
    edges: Int64[np.ndarray, "m 2"],
    weights: Float64[np.ndarray, " m"],
    n_points: int,
    *,
    k: float | int,
    min_points: int,
) -> Int64[np.ndarray, " n_points"]:
    """The set of each point, numbered from 0 by the first point of each set.

    Edges come in ascending order of their weight w, equal ones in the order given. An edge joins
    two sets A and B if

        w <= min(Int(A) + k / |A|, Int(B) + k / |B|),

    where Int is the weight of the edge that joined a set last, 0 for a point. Then, in the same
    order, an edge joins two sets if one has fewer than min_points points.

    Args:
        edges: two points each.
        weights: 0 or more.
        n_points: how many points there are.
        k: a larger one makes larger sets, in units of the weights.
        min_points: sets that an edge leaves have at least so many points.

    Raises:
        ValueError: if k is negative or not finite, or min_points is below 1.

    Example:
        >>> import numpy as np
        >>> edges = np.array([[0, 1], [1, 2], [2, 3]])
        >>> segment_graph(edges, np.array([0.0, 0.9, 0.0]), 4, k=1.0, min_points=1)
        array([0, 0, 1, 1])
    """
    if not 0 <= k < math.inf:
        raise ValueError(f"k must be finite and not negative, got {k}")
    if min_points < 1:
        raise ValueError(f"min_points must be at least 1, got {min_points}")
    order = np.argsort(weights, kind="stable")
    return number_by_first(_join_sets(edges, weights, order, n_points, float(k), min_points))


@compiled
def number_by_first(ids):
    """Ids numbered anew from 0, in the order of their first rows; negative ones become -1."""
    numbers = np.full(ids.max() + 1 if len(ids) else 0, -1, np.int64)
    numbered = np.full(len(ids), -1, np.int64)
    n_sets = 0
    for row in range(len(ids)):
        if ids[row] >= 0:
            if numbers[ids[row]] < 0:
                numbers[ids[row]] = n_sets
                n_sets += 1
            numbered[row] = numbers[ids[row]]
    return numbered


@compiled
def _root(parents, point):
    while parents[point] != point:
        parents[point] = parents[parents[point]]
        point = parents[point]
    return point


@compiled
def _join(parents, sizes, a, b):
    """Hang the smaller of two roots under the larger one, which is returned."""
    if sizes[a] < sizes[b]:
        a, b = b, a
    parents[b] = a
    sizes[a] += sizes[b]
    return a


@compiled
def _join_sets(edges, weights, order, n_points, k, min_points):
    """The root of each point."""
    parents, sizes = np.arange(n_points), np.ones(n_points, np.int64)
    thresholds = np.full(n_points, k)
    for edge in order:
        a, b = _root(parents, edges[edge, 0]), _root(parents, edges[edge, 1])
        if a != b and weights[edge] <= min(thresholds[a], thresholds[b]):
            root = _join(parents, sizes, a, b)
            thresholds[root] = weights[edge] + k / sizes[root]
    for edge in order:
        a, b = _root(parents, edges[edge, 0]), _root(parents, edges[edge, 1])
        if a != b and min(sizes[a], sizes[b]) < min_points:
            _join(parents, sizes, a, b)
    for point in range(n_points):
        parents[point] = _root(parents, point)
    return parents
