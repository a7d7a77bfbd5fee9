"""Smooth parts of a cloud without faces.

The graph segmentation of Felzenszwalb and Huttenlocher (IJCV 2004) on nearest neighbours in place
of the edges of a mesh. Normals are planes fitted to the neighbours and have no sign, so that convex
and concave edges weigh the same. The published work names no way for clouds; this is our own.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import normalize

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.graph_segments import segment_graph

LONGEST_EDGE = 3  # times the median distance of a point to its neighbours


@checked
def segment_points(
    points: Float[Tensor, "n 3"],
    *,
    normals: Float[Tensor, "n 3"] | None = None,
    n_neighbors: int = 8,
    k: float | int = 0.03,
    min_points: int = 20,
) -> Int[Tensor, " n"]:
    """The set of each point, numbered from 0 by the first point of each set.

    Each point has an edge to each of its n_neighbors nearest points, of the weight

        w = 1 - |N_a . N_b|,

    with unit normals N, unless the edge is longer than three times the median distance of either
    end to its neighbours: what is far apart for the density of both is not joined. How edges join
    points is in `graph_segments.segment_graph`. The work is done on the CPU, in float64.

    Args:
        points: in any unit and frame.
        normals: of any length and either sign; one of zeros is like no other. Where they are not
            given, that of a point is the direction in which it and its neighbours spread least.
        n_neighbors: of a point, without itself; all others where there are fewer.
        k: a larger one makes larger sets.
        min_points: sets that an edge leaves have at least so many points.

    Returns:
        Sets, on the device of the points.

    Raises:
        ValueError: if a point or a normal is not finite, n_neighbors is below 1, k is negative or
            not finite, or min_points is below 1.

    Example:
        >>> import torch
        >>> floor = torch.cartesian_prod(
        ...     torch.arange(5.0), torch.arange(5.0), torch.zeros(1)
        ... )
        >>> wall = floor[:, [2, 0, 1]] + torch.tensor([-3.0, 0.0, 3.0])
        >>> segment_points(torch.cat([floor, wall]), n_neighbors=8).bincount()
        tensor([25, 25])
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")
    if normals is not None and not normals.isfinite().all():
        raise ValueError("normals must be finite, got NaN or infinity")
    if len(points) < 2:
        return torch.arange(len(points), device=points.device)
    places = points.detach().double().cpu().numpy()
    nearest = range(1, min(n_neighbors + 1, len(places)) + 1)  # a point, then its neighbours
    distances, rows = KDTree(places).query(places, k=list(nearest))
    if normals is None:
        directions = _plane_normals(places[rows])
    else:
        directions = normalize(normals.detach().double(), dim=1).cpu().numpy()
    edges = _short_edges(distances, rows)
    weights = 1 - np.abs(np.einsum("ec,ec->e", directions[edges[:, 0]], directions[edges[:, 1]]))
    sets = segment_graph(edges, weights, len(points), k=k, min_points=min_points)
    return torch.from_numpy(sets).to(points.device)


def _plane_normals(places: Float64[np.ndarray, "n m 3"]) -> Float64[np.ndarray, "n 3"]:
    """The direction in which each of n groups of m places spreads least."""
    offsets = places - places.mean(axis=1, keepdims=True)
    return np.linalg.eigh(offsets.transpose(0, 2, 1) @ offsets)[1][:, :, 0]


def _short_edges(
    distances: Float64[np.ndarray, "n m"], rows: Int[np.ndarray, "n m"]
) -> Int[np.ndarray, "e 2"]:
    """Edges to the neighbours that are near for the density around both ends."""
    reach = LONGEST_EDGE * np.median(distances[:, 1:], axis=1)
    is_short = distances <= np.minimum(reach[:, None], reach[rows])
    first, neighbor = is_short.nonzero()
    return np.stack([first, rows[first, neighbor]], axis=1)
