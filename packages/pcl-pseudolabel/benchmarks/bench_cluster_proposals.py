"""cluster_proposals on 200,000 points, against listing all pairs with a k-d tree.

Regimes: `spread` is a scene as scanned (surfaces voxelised at 2 cm), `shifted` the same with
offsets that bring points nine tenths of the way to their centroid, `collapsed` has every point
within millimetres of it. Radius 3 cm, 20 labels, one scene, one core:

    OMP_NUM_THREADS=1 pytest packages/pcl-pseudolabel/benchmarks/bench_cluster_proposals.py

The alternative is measured on `spread` only: the other two have over 10^8 pairs.
"""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from pcl_pseudolabel import cluster_proposals

RADIUS = 0.03
N_POINTS, N_INSTANCES = 200_000, 200


def scene(shift: float, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Square plates of 1,000 voxels each, at random places and tilts in a hall of 20 m."""
    rng = np.random.default_rng(0)
    plate = rng.permutation(32 * 32)[: N_POINTS // N_INSTANCES]
    flat = np.c_[plate // 32 * 0.02, plate % 32 * 0.02, np.zeros(len(plate))]
    flat -= flat.mean(axis=0)
    turn, _ = np.linalg.qr(rng.normal(size=(N_INSTANCES, 3, 3)))
    centers = rng.uniform(0, [20, 20, 3], size=(N_INSTANCES, 1, 3))
    points = centers + (1 - shift) * flat @ turn.transpose(0, 2, 1)
    points += rng.normal(scale=noise, size=points.shape)
    labels = np.repeat(rng.integers(20, size=N_INSTANCES), len(plate))
    order = rng.permutation(N_POINTS)
    return torch.from_numpy(points.reshape(-1, 3)[order]).float(), torch.from_numpy(labels[order])


def all_pairs(points: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    a, b = KDTree(points.numpy()).query_pairs(RADIUS, output_type="ndarray").T
    same = labels.numpy()[a] == labels.numpy()[b]
    edges = coo_array((np.ones(same.sum(), bool), (a[same], b[same])), shape=(N_POINTS, N_POINTS))
    return connected_components(edges, directed=False)[1]


@pytest.mark.parametrize(
    ("shift", "noise"),
    [(0.0, 0.002), (0.9, 0.002), (1.0, 0.005)],
    ids=["spread", "shifted", "collapsed"],
)
def test_cluster_proposals(benchmark, shift, noise):
    torch.set_num_threads(1)
    points, labels = scene(shift, noise)
    batch_index = torch.zeros(len(points), dtype=torch.long)
    proposals = benchmark(cluster_proposals, points, labels, batch_index, radius=RADIUS)
    assert proposals.max() > 100


def test_all_pairs(benchmark):
    benchmark(all_pairs, *scene(0.0, 0.002))
