"""Smooth parts of a mesh: the geometric consistency sets of rooms.

The graph segmentation of Felzenszwalb and Huttenlocher (IJCV 2004) on the normals of the vertices,
as the segmentator of ScanNet (Dai et al., CVPR 2017) does it, whose segments the annotation of
ScanNet is made of. Two departures: faces of no area are left out, whose normals are NaN there, and
edges of equal weight come in the order of the faces, where the order is unspecified there.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.graph_segments import segment_graph


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
        >>> floor_and_table = torch.tensor(corners + [[x, y, 1] for x, y, _ in corners]).float()
        >>> faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
        >>> segment_mesh(floor_and_table, faces)
        tensor([0, 0, 0, 0, 1, 1, 1, 1])
    """
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(points):
        low, high = (int(row) for row in faces.aminmax())
        raise ValueError(f"faces must lie in [0, {len(points)}), got [{low}, {high}]")
    vertices, triangles = points.detach().double().cpu(), faces.long().cpu()
    corner, *others = vertices[triangles].unbind(dim=1)
    directions = torch.linalg.cross(others[0] - corner, others[1] - corner)
    areas = directions.norm(dim=1)
    has_area = areas > 0
    triangles, directions = triangles[has_area], directions[has_area] / areas[has_area, None]
    normals = _mean_normals(triangles, directions, len(points))
    edges = triangles[:, [[0, 1], [0, 2], [2, 1]]].reshape(-1, 2)
    weights = _edge_weights(vertices, normals, edges)
    return segment_graph(edges, weights, len(points), k=k, min_points=min_points).to(points.device)


def _mean_normals(
    triangles: Int[Tensor, "f 3"], directions: Float[Tensor, "f 3"], n_points: int
) -> Float[Tensor, "n_points 3"]:
    """The mean of the directions of each vertex's triangles; zero where there is none."""
    corners = triangles.flatten()
    sums = directions.new_zeros(n_points, 3)
    sums.index_add_(0, corners, directions.repeat_interleave(3, dim=0))
    return sums / corners.bincount(minlength=n_points).clamp(min=1)[:, None]


def _edge_weights(
    points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], edges: Int[Tensor, "m 2"]
) -> Float[Tensor, " m"]:
    a, b = edges.unbind(dim=1)
    weights = 1 - (normals[a] * normals[b]).sum(dim=1)
    is_convex = (normals[b] * (points[b] - points[a])).sum(dim=1) > 0
    return torch.where(is_convex, weights.square(), weights)
