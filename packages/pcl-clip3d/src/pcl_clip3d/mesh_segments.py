"""Smooth parts of a mesh: the geometric consistency sets of rooms.

The graph segmentation of Felzenszwalb and Huttenlocher (IJCV 2004) on the normals of the vertices,
as the segmentator of ScanNet (Dai et al., CVPR 2017) does it, whose segments the annotation of
ScanNet is made of. Two departures: faces of no area are left out, whose normals are NaN there, and
edges of equal weight come in the order of the faces, where the order is unspecified there.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.graph_segments import segment_graph
from pcl_clip3d.machine_code import compiled


@checked
def segment_mesh(
    points: Float[Tensor, "n 3"],
    faces: Int[Tensor, "f 3"],
    *,
    k: float | int = 0.01,
    min_points: int = 20,
) -> Int[Tensor, " n"]:
    """The set of each vertex, numbered from 0 by the first vertex of each set.

    The normal N of a vertex is the mean of the unit normals of its faces and is not scaled to unit
    length. The edges of a face (v0, v1, v2) are (a, b) = (v0, v1), (v0, v2) and (v2, v1); one of
    two faces counts twice. The weight of an edge is

        w = 1 - N_a . N_b, and w^2 instead where N_b . (p_b - p_a) > 0, as on convex surfaces.

    How edges join vertices is in `graph_segments.segment_graph`. A vertex without faces is a set of
    its own. The work is done on the CPU, in float64.

    Args:
        points: vertices, in any unit and frame.
        faces: three rows of `points` each, in the same turn throughout, since the side that normals
            point to tells convex from concave.
        k: a larger one makes larger sets. That of ScanNet's `*.0.010000.segs.json` is 0.01.
        min_points: sets of connected surfaces have at least so many vertices.

    Returns:
        Sets, on the device of the points.

    Raises:
        ValueError: if a point is not finite, a face names a point that is not there, k is negative
            or not finite, or min_points is below 1.

    Example:
        >>> import torch
        >>> corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
        >>> floor_and_table = torch.tensor(
        ...     corners + [[x, y, 1] for x, y, _ in corners]
        ... ).float()
        >>> faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
        >>> segment_mesh(floor_and_table, faces)
        tensor([0, 0, 0, 0, 1, 1, 1, 1])
    """
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(points):
        low, high = (int(row) for row in faces.aminmax())
        raise ValueError(f"faces must lie in [0, {len(points)}), got [{low}, {high}]")
    vertices, triangles = points.detach().double().cpu().numpy(), faces.long().cpu().numpy()
    normals, has_area = _mean_normals(vertices, triangles)
    edges = triangles[has_area][:, [[0, 1], [0, 2], [2, 1]]].reshape(-1, 2)
    weights = _edge_weights(vertices, normals, edges)
    sets = segment_graph(edges, weights, len(points), k=k, min_points=min_points)
    return torch.from_numpy(sets).to(points.device)


@compiled
def _mean_normals(points, faces):
    """Means of the unit normals of each point's faces, zero without one; and which have an area."""
    normals, counts = np.zeros((len(points), 3)), np.zeros(len(points))
    has_area = np.zeros(len(faces), np.bool_)
    for face in range(len(faces)):
        a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
        x = (b[1] - a[1]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[1] - a[1])
        y = (b[2] - a[2]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[2] - a[2])
        z = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        length = math.sqrt(x * x + y * y + z * z)
        if length > 0:
            has_area[face] = True
            for vertex in faces[face]:
                counts[vertex] += 1
                normals[vertex, 0] += (x / length - normals[vertex, 0]) / counts[vertex]
                normals[vertex, 1] += (y / length - normals[vertex, 1]) / counts[vertex]
                normals[vertex, 2] += (z / length - normals[vertex, 2]) / counts[vertex]
    return normals, has_area


@compiled
def _edge_weights(points, normals, edges):
    weights = np.empty(len(edges))
    for edge in range(len(edges)):
        a, b = edges[edge, 0], edges[edge, 1]
        cosine, rise = 0.0, 0.0
        for axis in range(3):
            cosine += normals[a, axis] * normals[b, axis]
            rise += normals[b, axis] * (points[b, axis] - points[a, axis])
        weights[edge] = (1 - cosine) ** 2 if rise > 0 else 1 - cosine
    return weights
