"""Tests of pcl_clip3d.supervoxels."""

import itertools
import math

import numpy as np
import pytest
import torch

from pcl_clip3d.supervoxels import _move, supervoxels

CUBE = list(itertools.product((-1, 0, 1), repeat=3))


def slow_supervoxels(points, colors, voxel_size, seed_size, weights):
    """VCCS with dictionaries of voxels; supervoxels in the order of their seeds' cells."""
    groups = {}
    for row, point in enumerate(points):
        groups.setdefault(tuple(math.floor(x / voxel_size) for x in point), []).append(row)
    cells = sorted(groups)
    place = {cell: points[groups[cell]].mean(axis=0) for cell in cells}
    color = {cell: colors[groups[cell]].mean(axis=0) for cell in cells}

    def around(cell):
        shifted = (tuple(a + b for a, b in zip(cell, shift, strict=True)) for shift in CUBE)
        return [other for other in shifted if other in groups]

    normal = {}
    for cell in cells:
        near = np.array([place[two] for one in around(cell) for two in around(one)])
        normal[cell] = np.linalg.svd(near - near.mean(axis=0))[2][2]

    seeds = set()
    for corner in {tuple(np.floor(place[cell] / seed_size)) for cell in cells}:
        centre = (np.array(corner) + 0.5) * seed_size
        seeds.add(min(cells, key=lambda cell: np.linalg.norm(place[cell] - centre)))
    least = 0.05 * math.pi * (seed_size / 2) ** 2 / voxel_size**2
    close = {
        seed: sum(np.linalg.norm(place[c] - place[seed]) <= seed_size / 2 for c in cells)
        for seed in seeds
    }
    seeds = [seed for seed in sorted(seeds) if close[seed] >= least]

    owner = {seed: number for number, seed in enumerate(seeds)}
    centroid = {owner[seed]: (place[seed], color[seed], normal[seed]) for seed in seeds}
    for _ in range(math.floor(1.8 * seed_size / voxel_size) - 1):
        before = dict(owner)
        for cell in cells:
            wishes = sorted({before[other] for other in around(cell) if other in before})
            if wishes:
                far = {
                    w: weights[0] * (1 - abs(normal[cell] @ centroid[w][2]))
                    + weights[1] * np.linalg.norm(color[cell] - centroid[w][1])
                    + weights[2] * np.linalg.norm(place[cell] - centroid[w][0]) / seed_size
                    for w in wishes
                }
                owner[cell] = min(wishes, key=far.get)
        for w in set(owner.values()):
            mine = [cell for cell in cells if owner.get(cell) == w]
            signs = [1 if normal[cell] @ centroid[w][2] >= 0 else -1 for cell in mine]
            total = sum(s * normal[cell] for s, cell in zip(signs, mine, strict=True))
            means = (np.mean([part[cell] for cell in mine], axis=0) for part in (place, color))
            centroid[w] = (*means, total / np.linalg.norm(total))
    cell_of = {row: cell for cell in cells for row in groups[cell]}
    found = [owner.get(cell_of[row], -1) for row in range(len(points))]
    firsts = [w for w in dict.fromkeys(found) if w >= 0]
    return [firsts.index(w) if w >= 0 else -1 for w in found]


def rough(n, seed):
    """Points of a floor and a wall with noise, and their colours."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    points *= torch.tensor([3.0, 3.0, 0.1])
    points[: n // 3] = points[: n // 3, [2, 1, 0]]
    return points - 1, torch.rand(n, 3, generator=generator)


@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.4), (0.5, 1.0, 0.2), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_algorithm_written_with_dictionaries(seed, weights):
    points, colors = rough(500, seed)
    found = supervoxels(
        points,
        colors=colors,
        voxel_size=0.2,
        seed_size=0.8,
        **dict(zip(("normal_weight", "color_weight", "space_weight"), weights, strict=True)),
    )
    expected = slow_supervoxels(points.numpy(), colors.numpy().astype(float), 0.2, 0.8, weights)
    assert found.max() > 5
    assert found.tolist() == expected


def test_lonely_seeds_are_dropped_and_their_points_are_in_none():
    points, _ = rough(500, 0)
    lonely = torch.tensor([[9.0, 9.0, 9.0]], dtype=torch.float64)
    # A disc of radius 2.5 voxels has 19.6; 5 % of it is 0.98: one voxel is enough. With voxels
    # of 0.1 it has 78.5 and 3.9.
    assert supervoxels(torch.cat([points, lonely]))[-1] > 0
    found = supervoxels(torch.cat([points, lonely]), voxel_size=0.1)
    assert found[-1] == -1
    assert found.max() > 5


def test_supervoxels_do_not_cross_gaps():
    points, _ = rough(600, 1)
    far = points + torch.tensor([8.0, 0.0, 0.0])
    found = supervoxels(torch.cat([points, far]))
    assert set(found[:600].tolist()) & set(found[600:].tolist()) <= {-1}


def test_a_colour_is_a_border_where_it_has_weight():
    street = torch.cartesian_prod(torch.arange(16.0), torch.arange(8.0), torch.zeros(1)) / 8
    colors = (street[:, :1] < 0.75).float().repeat(1, 3)  # not where cells of seed_size meet
    options = {"colors": colors, "voxel_size": 0.125, "seed_size": 1.0}
    plain = supervoxels(street, **options)
    assert len(plain[colors[:, 0] == 1].unique()) == 1  # of which some reaches beyond
    assert not _is_pure(plain, colors)
    assert _is_pure(supervoxels(street, **options, color_weight=5), colors)


def _is_pure(sets, colors):
    return all(len(colors[sets == one].unique()) == 1 for one in sets.unique())


def test_numbers_follow_the_first_points_and_order_does_not_matter():
    points, _ = rough(400, 2)
    found = supervoxels(points)
    firsts = [found.tolist().index(one) for one in range(int(found.max()) + 1)]
    assert firsts == sorted(firsts)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    shuffled = supervoxels(points[order])
    pairs = set(zip(found[order].tolist(), shuffled.tolist(), strict=True))
    assert len(pairs) == len(found.unique()) == len(shuffled.unique())


def test_points_of_one_voxel_have_one_supervoxel():
    points, _ = rough(500, 3)
    found = supervoxels(points)
    cells = (points / 0.2).floor()
    for cell in cells.unique(dim=0):
        assert len(found[(cells == cell).all(dim=1)].unique()) == 1


def test_normals_that_cancel_leave_the_centroid_its_own():
    centroids, values = np.zeros((1, 9)), np.zeros((2, 9))
    centroids[0, 8], values[0, 6], values[1, 6], values[1, 0] = 1, 1, -1, 4
    _move(centroids, np.zeros(2, np.int64), values)
    assert centroids.tolist() == [[2, 0, 0, 0, 0, 0, 0, 0, 1]]


def test_no_point_and_one_point():
    assert supervoxels(torch.zeros(0, 3)).tolist() == []
    assert supervoxels(torch.ones(1, 3)).tolist() == [0]
    assert supervoxels(torch.ones(1, 3), voxel_size=0.1).tolist() == [-1]


POINTS = torch.rand(9, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"points": POINTS * math.nan}, "points must be finite, got NaN or infinity"),
        ({"points": POINTS * 1e9}, r"points must span fewer than 2\^63 voxels, got \["),
        ({"colors": POINTS + 1}, r"colors must lie in \[0, 1\], got \["),
        ({"colors": POINTS * math.nan}, r"colors must lie in \[0, 1\], got \[nan, nan\]"),
        ({"colors": POINTS[:2]}, r"colors must have shape \(n, 3\) with n = 9 as of points"),
        ({"color_weight": 1}, "colors must be given with a color_weight of 1, got None"),
        ({"voxel_size": 0}, "voxel_size must be above 0 and finite, got 0"),
        ({"voxel_size": math.inf}, "voxel_size must be above 0 and finite, got inf"),
        ({"seed_size": 0.3}, r"seed_size must be at least 0.4 and finite, got 0.3"),
        ({"seed_size": math.nan}, r"seed_size must be at least 0.4 and finite, got nan"),
        ({"normal_weight": -1}, "normal_weight must be finite and not negative, got -1"),
        ({"color_weight": math.nan}, "color_weight must be finite and not negative, got nan"),
        ({"space_weight": math.inf}, "space_weight must be finite and not negative, got inf"),
    ],
)
def test_arguments_that_are_refused(spoilt, message):
    with pytest.raises(ValueError, match=message):
        supervoxels(**{"points": POINTS, **spoilt})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_supervoxels_are_on_the_device_of_the_points():
    points, colors = rough(300, 0)
    options = {"color_weight": 1}
    found = supervoxels(points.cuda(), colors=colors.cuda(), **options)
    assert found.is_cuda
    assert torch.equal(found.cpu(), supervoxels(points, colors=colors, **options))
