"""Geometric sets of a generated mesh of 160,000 vertices and of a sweep of 124,000 points.

The mesh is a hall of bumps; the sweep has the rings of a 64-beam LiDAR on a street between two
walls. Votes and samples are of a million points in 20,000 sets. One core:

    OMP_NUM_THREADS=1 pytest packages/pcl-clip3d/benchmarks/bench_sets.py

Votes are compared with the obvious way, a table of sets times classes.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pcl_clip3d.mesh_segments import segment_mesh
from pcl_clip3d.point_segments import segment_points
from pcl_clip3d.set_labels import sample_in_sets, vote_in_sets, vote_in_views
from pcl_clip3d.supervoxels import supervoxels

N_ROWS = 400
N_POINTS, N_SETS, N_CLASSES, N_VIEWS = 1_000_000, 20_000, 20, 50


@pytest.fixture(scope="module")
def mesh() -> tuple[torch.Tensor, torch.Tensor]:
    """A terrain with edges, 2 cm between vertices."""
    x = np.arange(N_ROWS) * 0.02
    height = np.abs(np.sin(2 * x)[:, None] * np.cos(3 * x)) + np.floor(x / 2)[:, None] * 0.5
    height += np.random.default_rng(0).normal(scale=5e-4, size=height.shape)
    y, x = np.meshgrid(x, x, indexing="ij")
    a = (np.arange(N_ROWS - 1)[:, None] * N_ROWS + np.arange(N_ROWS - 1)).ravel()
    b, c, d = a + 1, a + N_ROWS, a + N_ROWS + 1
    faces = np.concatenate([np.c_[a, b, d], np.c_[a, d, c]])
    points = np.stack([x, y, height], axis=2).reshape(-1, 3)
    return torch.from_numpy(points).float(), torch.from_numpy(faces)


@pytest.fixture(scope="module")
def sweep() -> torch.Tensor:
    """Where 64 beams hit the ground, or walls 8 m to the left and right."""
    turn = np.linspace(-np.pi, np.pi, 1_940)
    tilt = np.radians(np.linspace(-24.8, -0.9, 64))[:, None]
    rays = np.stack(np.broadcast_arrays(np.cos(turn), np.sin(turn), np.tan(tilt)), axis=2)
    reach = np.minimum(-1.73 / rays[..., 2], 8 / np.maximum(np.abs(rays[..., 1]), 0.1))
    points = (rays * reach[..., None]).reshape(-1, 3)
    points += np.random.default_rng(0).normal(scale=0.01, size=points.shape)
    return torch.from_numpy(points).float()


@pytest.fixture(scope="module")
def voters() -> dict[str, torch.Tensor]:
    """Labels, sets and views of pairs."""
    generator = torch.Generator().manual_seed(0)
    counts = {"labels": N_CLASSES, "sets": N_SETS, "views": N_VIEWS}
    return {
        name: torch.randint(high, (N_POINTS,), generator=generator) for name, high in counts.items()
    }


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_segment_mesh(benchmark, mesh):
    assert benchmark(segment_mesh, *mesh).max() > 10


def test_segment_points(benchmark, mesh):
    assert benchmark(segment_points, mesh[0]).max() > 10


def test_segment_points_with_normals(benchmark, mesh):
    normals = torch.randn_like(mesh[0]) * 0.05 + torch.tensor([0.0, 0.0, 1.0])
    assert benchmark(segment_points, mesh[0], normals=normals).max() > 10


def test_supervoxels(benchmark, sweep):
    assert benchmark(supervoxels, sweep).max() > 100


def test_vote_in_sets(benchmark, voters):
    benchmark(vote_in_sets, voters["labels"], voters["sets"], n_classes=N_CLASSES)


def test_vote_in_a_table_of_sets_times_classes(benchmark, voters):
    labels, sets = voters["labels"], voters["sets"]

    def vote() -> torch.Tensor:
        table = torch.zeros(N_SETS, N_CLASSES).index_add_(
            0, sets, functional.one_hot(labels, N_CLASSES).float()
        )
        return table.argmax(dim=1)[sets]

    assert torch.equal(benchmark(vote), vote_in_sets(labels, sets, n_classes=N_CLASSES))


def test_vote_in_views(benchmark, voters):
    benchmark(vote_in_views, **voters, n_classes=N_CLASSES)


def test_sample_in_sets(benchmark, voters):
    assert len(benchmark(sample_in_sets, voters["sets"], 1024)) == 1024
