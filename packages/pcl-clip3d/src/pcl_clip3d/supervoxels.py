"""Small patches of a cloud that neither bend nor change colour much: sets of LiDAR sweeps.

VCCS: Papon et al., "Voxel Cloud Connectivity Segmentation - Supervoxels for Point Clouds", CVPR
2013, with the distance, the normals and the number of steps of its program in the Point Cloud
Library. Departures from that program: a supervoxel starts from its seed, where centroids start at
zero there; in each step distances are to centroids of that step, where old ones are kept there; all
supervoxels grow at once, where they grow one after the other there; and normals have no sign, where
they point to the origin there.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from torch import Tensor

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.graph_segments import number_by_first
from pcl_clip3d.machine_code import compiled

SEED_DENSITY = 0.05  # of a disc of voxels around a seed, the share that must be occupied
REACH = 1.8  # how far a supervoxel grows, in seed_size


@checked
def supervoxels(
    points: Float[Tensor, "n 3"],
    *,
    colors: Float[Tensor, "n 3"] | None = None,
    voxel_size: float | int = 0.2,
    seed_size: float | int = 1.0,
    normal_weight: float | int = 1.0,
    color_weight: float | int = 0.0,
    space_weight: float | int = 0.4,
) -> Int[Tensor, " n"]:
    """The supervoxel of each point, numbered from 0 by the first point of each; -1 for none.

    Voxels, each at the mean of its points, are neighbours if they touch (26 directions). In every
    occupied cell of size R = seed_size, the voxel nearest to the cell's centre is a seed, unless
    fewer voxels than 5 % of a disc lie within R / 2. In each of floor(1.8 R / voxel_size) - 1 steps
    a voxel goes to the nearest of the supervoxels that it and its neighbours belong to; then the
    centroids are the means of their voxels. Voxel and centroid, at x with normal n and colour c,
    are apart by

        normal_weight (1 - |n . n'|) + color_weight |c - c'| + space_weight |x - x'| / R.

    The normal of a voxel is that of the plane fitted to the voxels within two steps. Of equal
    distances the first supervoxel, by x, y and z of its seed's voxel, counts. The work is done on
    the CPU, in float64.

    Args:
        points: world coordinates, metres.
        colors: RGB in [0, 1], needed where color_weight is above 0.
        voxel_size: edge of a voxel, metres. Voxels begin at multiples of it.
        seed_size: distance between seeds, metres, at least twice voxel_size.
        normal_weight: of the difference of normals, which is at most 1.
        color_weight: of the distance of colours, which is at most sqrt(3).
        space_weight: of a distance of seed_size.

    Returns:
        Supervoxels, on the device of the points; -1 where none reached the voxel of a point.

    Raises:
        ValueError: if a value is not finite, a weight negative, colours lie outside [0, 1] or are
            missing where they have a weight, voxel_size is not above 0, seed_size is below twice
            voxel_size, or the box around the points has 2^63 voxels or more.

    Example:
        >>> import torch
        >>> street = (
        ...     torch.cartesian_prod(torch.arange(8.0), torch.arange(4.0), torch.zeros(1))
        ...     / 4
        ... )
        >>> supervoxels(street, voxel_size=0.25).bincount()
        tensor([20, 12])
    """
    weights = {"normal": normal_weight, "color": color_weight, "space": space_weight}
    _check(points, colors, voxel_size, seed_size, weights)
    if not len(points):
        return torch.zeros(0, dtype=torch.long, device=points.device)
    places = points.detach().double().cpu().numpy()
    coords, voxel = _voxels(places, voxel_size)
    means = _means(places, voxel)
    shades = np.zeros_like(places) if colors is None else colors.detach().double().cpu().numpy()
    neighbors = _neighbors(coords)
    values = [space_weight / seed_size * means, color_weight * _means(shades, voxel)]
    owners = _grow(
        _seeds(means, voxel_size, seed_size),
        neighbors.indptr,
        neighbors.indices,
        np.concatenate([*values, _normals(means, neighbors)], axis=1),
        float(normal_weight),
        int(REACH * seed_size / voxel_size) - 1,
    )
    return torch.from_numpy(number_by_first(owners[voxel])).to(points.device)


def _check(
    points: Float[Tensor, "n 3"],
    colors: Float[Tensor, "n 3"] | None,
    voxel_size: float | int,
    seed_size: float | int,
    weights: dict[str, float | int],
) -> None:
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")
    if not 0 < voxel_size < math.inf:
        raise ValueError(f"voxel_size must be above 0 and finite, got {voxel_size}")
    if not 2 * voxel_size <= seed_size < math.inf:
        raise ValueError(f"seed_size must be at least {2 * voxel_size} and finite, got {seed_size}")
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"{name}_weight must be finite and not negative, got {weight}")
    if weights["color"] and colors is None:
        raise ValueError(
            f"colors must be given with a color_weight of {weights['color']}, got None"
        )
    if colors is not None and not ((colors >= 0) & (colors <= 1)).all():
        low, high = (float(value) for value in colors.aminmax())
        raise ValueError(f"colors must lie in [0, 1], got [{low}, {high}]")


def _voxels(
    places: Float64[np.ndarray, "n 3"], voxel_size: float | int
) -> tuple[Int64[np.ndarray, "v 3"], Int64[np.ndarray, " n"]]:
    """Voxels by x, y and z, and the voxel of each place."""
    cells = np.floor(places / voxel_size)
    cells -= cells.min(axis=0)
    shape = [int(size) + 1 for size in cells.max(axis=0)]
    if math.prod(shape) >= 2**63:
        raise ValueError(
            f"points must span fewer than 2^63 voxels, got {shape} of voxel_size {voxel_size}"
        )
    keys, voxel = np.unique(
        np.ravel_multi_index(cells.astype(np.int64).T, shape), return_inverse=True
    )
    return np.stack(np.unravel_index(keys, shape), axis=1), voxel


def _means(
    values: Float64[np.ndarray, "n c"], voxel: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, "v c"]:
    """The mean of the values of each voxel."""
    sums = [np.bincount(voxel, column) for column in values.T]
    return np.stack(sums, axis=1) / np.bincount(voxel)[:, None]


def _neighbors(coords: Int64[np.ndarray, "v 3"]) -> csr_array:
    """The matrix that is 1 where two voxels touch, and on its diagonal."""
    # Touching voxels are at most sqrt(3) apart, others 2 or more.
    a, b = KDTree(coords).query_pairs(1.8, output_type="ndarray").T
    each = np.arange(len(coords))
    rows, columns = np.concatenate([a, b, each]), np.concatenate([b, a, each])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(coords), len(coords)))


def _normals(means: Float64[np.ndarray, "v 3"], neighbors: csr_array) -> Float64[np.ndarray, "v 3"]:
    """The direction in which the voxels within two steps of each one spread least.

    A voxel counts as often as two steps lead to it, as in the program.
    """
    offsets = means - means.mean(axis=0)
    products = (offsets[:, :, None] * offsets[:, None]).reshape(-1, 9)
    moments = np.concatenate([np.ones((len(means), 1)), offsets, products], axis=1)
    moments = neighbors @ (neighbors @ moments)
    mean, products = np.split(moments[:, 1:] / moments[:, :1], [3], axis=1)
    spread = products.reshape(-1, 3, 3) - mean[:, :, None] * mean[:, None]
    return np.linalg.eigh(spread)[1][:, :, 0]


def _seeds(
    means: Float64[np.ndarray, "v 3"], voxel_size: float | int, seed_size: float | int
) -> Int64[np.ndarray, " s"]:
    """The voxels nearest to the centres of occupied cells, without lonely ones."""
    tree = KDTree(means)
    centres = (np.unique(np.floor(means / seed_size), axis=0) + 0.5) * seed_size
    seeds = np.unique(tree.query(centres)[1])
    counts = tree.query_ball_point(means[seeds], seed_size / 2, return_length=True)
    return seeds[counts >= SEED_DENSITY * math.pi * (seed_size / 2 / voxel_size) ** 2]


@compiled
def _grow(seeds, starts, neighbors, values, normal_weight, n_steps):
    """The row in `seeds` of each voxel's supervoxel, -1 for none.

    neighbors[starts[v] : starts[v + 1]] are voxel v and those that touch it. Values are x and c,
    times their weights, and n.
    """
    owners = np.full(len(values), -1, np.int64)
    owners[seeds] = np.arange(len(seeds))
    centroids = values[seeds]
    for _ in range(n_steps):
        before = owners.copy()
        for voxel in range(len(values)):
            nearest = np.inf
            for place in range(starts[voxel], starts[voxel + 1]):
                owner = before[neighbors[place]]
                if owner < 0 or (owner == owners[voxel] and nearest < np.inf):
                    continue
                distance = _distance(values, voxel, centroids, owner, normal_weight)
                if distance < nearest or (distance == nearest and owner < owners[voxel]):
                    owners[voxel], nearest = owner, distance
        _move(centroids, owners, values)
    return owners


@compiled
def _distance(values, voxel, centroids, owner, normal_weight):
    place, color, cosine = 0.0, 0.0, 0.0
    for axis in range(3):
        place += (values[voxel, axis] - centroids[owner, axis]) ** 2
        color += (values[voxel, 3 + axis] - centroids[owner, 3 + axis]) ** 2
        cosine += values[voxel, 6 + axis] * centroids[owner, 6 + axis]
    return math.sqrt(place) + math.sqrt(color) + normal_weight * (1 - abs(cosine))


@compiled
def _move(centroids, owners, values):
    """Set the centroids to the means of their voxels; normals are turned to the side of theirs."""
    sums, counts = np.zeros_like(centroids), np.zeros(len(centroids))
    for voxel in range(len(values)):
        owner = owners[voxel]
        if owner >= 0:
            cosine = 0.0
            for axis in range(6, 9):
                cosine += values[voxel, axis] * centroids[owner, axis]
            counts[owner] += 1
            for axis in range(9):
                turned = axis >= 6 and cosine < 0
                sums[owner, axis] += -values[voxel, axis] if turned else values[voxel, axis]
    for owner in range(len(centroids)):
        if counts[owner] > 0:
            length = math.sqrt((sums[owner, 6:] ** 2).sum())
            centroids[owner, :6] = sums[owner, :6] / counts[owner]
            if length > 0:  # unless they cancel
                centroids[owner, 6:] = sums[owner, 6:] / length
