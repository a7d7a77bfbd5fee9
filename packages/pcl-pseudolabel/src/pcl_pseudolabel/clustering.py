"""Points that lie close together and share a label form a proposal.

Chu et al., "TWIST", CVPR 2022, sec. 3 and 4.1 (module A): a breadth-first search over
neighbours of the same semantic class within a sphere. What that search finds are the connected
components of the radius graph, so they are computed as such.

Predicted offsets pull the points of an instance onto its centroid, where a point may have ten
thousand neighbours. Listing those pairs is what makes the search slow, so points are binned into
cells whose diagonal is shorter than the radius: a cell is connected by itself, and only pairs of
cells not yet connected are searched for their closest pair of points. The result is exact.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_ids

CELLS_PER_RADIUS = 1.7321  # just above sqrt(3), so the diagonal of a cell is below the radius
MAX_CELLS = 2**36  # along an axis: coordinates are still exact to 1e-5 of a cell
FEW_CELLS = 2**14  # along an axis: three of them leave room for the groups in a key
REACH = 2  # cells three apart on an axis are further than the radius


class _Cells(NamedTuple):
    """Points sorted by cell; cell i holds rows start[i] to start[i] + size[i]."""

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    key: NDArray[np.int64]
    step: tuple[int, int]  # difference of keys between neighbours along x and along y


@checked
def cluster_proposals(
    points: Float[Tensor, "n 3"],
    labels: Int[Tensor, " n"],
    batch_index: Int[Tensor, " n"],
    *,
    radius: float,
    min_points: int = 50,
    ignore: Collection[int] = (),
) -> Int[Tensor, " n"]:
    """Connected components of the radius graph among equal labels of one scene.

    Two points are neighbours when they share scene and label and lie strictly less than `radius`
    apart. Pass `points + offsets` to cluster around predicted centroids, and zeros as the labels
    of foreground points (-1 elsewhere) to cluster without regard to class (TWIST, Table 5).

    Args:
        points: coordinates to cluster, metres.
        labels: train ids; -1 is never clustered.
        batch_index: the scene of each point.
        radius: metres; TWIST uses 1.5 voxels.
        min_points: smaller components are dropped.
        ignore: labels never clustered, such as wall and floor.

    Returns:
        The proposal of each point, numbered by its first point; -1 is none.

    Raises:
        ValueError: if lengths differ, (on a CPU) a label has more than 31 bits or a scene is not in
            [0, 2^20), radius is not positive or too small for the extent of the points, min_points
            < 1, or a point is not finite.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0, 0], [5, 0, 0], [0.5, 0, 0], [1, 0, 0]])
        >>> labels, scene = torch.tensor([3, 3, 3, 2]), torch.zeros(4, dtype=torch.long)
        >>> cluster_proposals(points, labels, scene, radius=1.0, min_points=1)
        tensor([0, 1, 0, 2])
    """
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    if min_points < 1:
        raise ValueError(f"min_points must be at least 1, got {min_points}")
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")
    check_ids(-(2**31), 2**31, labels=labels)
    check_ids(0, 2**20, batch_index=batch_index)

    wanted = labels >= 0
    if ignore:
        wanted &= ~torch.isin(labels, labels.new_tensor(sorted(ignore)))
    proposals = torch.full_like(labels, -1, dtype=torch.long)
    if wanted.any():
        xyz = points[wanted].detach().double().cpu().numpy()
        # One number for scene and label: points of different groups are never neighbours.
        group = batch_index[wanted].long() * (labels.max().long() + 1) + labels[wanted]
        _, group = np.unique(group.cpu().numpy(), return_inverse=True)
        found = _number_by_first(_components(xyz, group, radius), min_points)
        proposals[wanted] = torch.from_numpy(found).to(proposals.device)
    return proposals


def _components(
    xyz: NDArray[np.float64], group: NDArray[np.int64], radius: float
) -> NDArray[np.int64]:
    """The component of each point, numbered arbitrarily."""
    cells = _bin(xyz, group, radius)
    xyz = xyz[cells.order]
    a, b = _neighbouring_cells(cells)
    first_a, first_b = xyz[cells.start[a]], xyz[cells.start[b]]
    near = _squared_distance(first_a, first_b) < radius**2
    component = _connect(a[near], b[near], len(cells.start))

    # First points decide for two cells of one point each; the rest need their closest pair.
    open_ = ~near & (component[a] != component[b])
    open_ &= cells.size[a] * cells.size[b] > 1
    if open_.any():
        rest_a, rest_b = a[open_], b[open_]
        touching = _touch(xyz, cells, rest_a, rest_b, radius)
        rest_a, rest_b = component[rest_a[touching]], component[rest_b[touching]]
        component = _connect(rest_a, rest_b, int(component.max()) + 1)[component]

    result = np.empty(len(xyz), dtype=np.int64)
    result[cells.order] = np.repeat(component, cells.size)
    return result


def _bin(xyz: NDArray[np.float64], group: NDArray[np.int64], radius: float) -> _Cells:
    """Points sorted into cells, cells into columns along z."""
    with np.errstate(over="ignore"):
        cell = np.floor((xyz - xyz.min(axis=0)) * (CELLS_PER_RADIUS / radius))
    if not cell.max() < MAX_CELLS:
        raise ValueError(f"radius must suit the extent of the points, got {radius} (too small)")
    x, y, z = (_without_gaps(axis) for axis in cell.astype(np.int64).T)
    # Padding, so that stepping off the end of an axis meets no cell of the next row.
    width_x, width_y, width_z = (int(axis.max()) + 1 + REACH for axis in (x, y, z))
    if (int(group.max()) + 1) * width_x * width_y * width_z >= 2**62:
        raise ValueError(f"radius must suit the extent of the points, got {radius} (too small)")
    key = ((group * width_x + x) * width_y + y) * width_z + z
    order = np.argsort(key, kind="stable")
    key = key[order]
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    size = np.diff(np.r_[start, len(key)])
    return _Cells(order, start, size, key[start], (width_y * width_z, width_z))


def _without_gaps(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cells along an axis, where one far point would use up the keys: empty runs end at REACH."""
    if cells.max() < FEW_CELLS:
        return cells
    places = np.unique(cells)
    steps = np.minimum(np.diff(places, prepend=places[0]), REACH + 1)
    return steps.cumsum()[np.searchsorted(places, cells)]


def _neighbouring_cells(cells: _Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each pair of distinct cells at most REACH apart on every axis, once."""
    step_x, step_y = cells.step
    index = np.arange(len(cells.key))
    # Cells of one column have consecutive keys, so a column's neighbours are one range.
    last = np.searchsorted(cells.key, cells.key + REACH, side="right")
    firsts, lasts = [index + 1], [last]
    for dx in range(REACH + 1):
        for dy in range(-REACH if dx else 1, REACH + 1):
            target = cells.key + dx * step_x + dy * step_y
            firsts.append(np.searchsorted(cells.key, target - REACH))
            lasts.append(np.searchsorted(cells.key, target + REACH, side="right"))
    return _ranges(np.concatenate(firsts), np.concatenate(lasts), np.tile(index, len(firsts)))


def _ranges(
    first: NDArray[np.int64], last: NDArray[np.int64], owner: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Owner and member of every half-open range [first, last)."""
    size = last - first
    filled = size > 0
    first, size, owner = first[filled], size[filled], owner[filled]
    before = np.cumsum(size) - size
    member = np.repeat(first - before, size) + np.arange(int(size.sum()))
    return np.repeat(owner, size), member


def _touch(
    xyz: NDArray[np.float64],
    cells: _Cells,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    radius: float,
) -> NDArray[np.bool_]:
    """Whether a point of cell a[i] lies within the radius of a point of cell b[i].

    One tree answers for all pairs: a fourth coordinate keeps pair i away from the others.
    """
    start, end, pair = cells.start, cells.start + cells.size, np.arange(len(a))
    pair_a, row_a = _ranges(start[a], end[a], pair)
    pair_b, row_b = _ranges(start[b], end[b], pair)
    tree = KDTree(np.c_[xyz[row_b], pair_b * (4 * radius)], balanced_tree=False)
    query = np.c_[xyz[row_a], pair_a * (4 * radius)]
    # A little beyond the radius, so that the strict comparison is made below and nowhere else.
    _, nearest = tree.query(query, distance_upper_bound=radius * 1.001)
    found = nearest < len(row_b)
    row_a, row_b, pair_a = row_a[found], row_b[nearest[found]], pair_a[found]
    near = _squared_distance(xyz[row_a], xyz[row_b]) < radius**2
    touching = np.zeros(len(a), dtype=bool)
    touching[pair_a[near]] = True
    return touching


def _squared_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    difference = a - b
    return np.einsum("ij,ij->i", difference, difference)


def _connect(a: NDArray[np.int64], b: NDArray[np.int64], n_nodes: int) -> NDArray[np.int64]:
    # Older versions of scipy take no wider index, and answer with nonsense.
    index = a.astype(np.int32), b.astype(np.int32)
    edges = coo_array((np.ones(len(a), dtype=bool), index), shape=(n_nodes, n_nodes))
    return connected_components(edges, directed=False)[1].astype(np.int64)


def _number_by_first(component: NDArray[np.int64], min_points: int) -> NDArray[np.int64]:
    """Components of at least min_points, numbered by their first point; -1 for the others."""
    _, first, inverse, counts = np.unique(
        component, return_index=True, return_inverse=True, return_counts=True
    )
    large = counts >= min_points
    rank = np.full(len(counts), -1)
    rank[np.flatnonzero(large)[np.argsort(first[large])]] = np.arange(large.sum())
    return rank[inverse]
