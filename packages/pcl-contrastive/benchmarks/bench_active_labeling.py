"""Seconds and inertia of `select_points_to_label`, against Lloyd's iteration in plain torch.

    python packages/pcl-contrastive/benchmarks/bench_active_labeling.py

150,000 points (the mean of ScanNet) of 300 objects in a room, 96 channels, 50 iterations. The peer
is what one would write: all distances as a matrix product, means by index_add, from random rows;
it has the seconds of k-means alone, ours those of the whole call. Both times are medians of three,
in turn; inertia is the sum of squared distances to the nearest centre. With --scipy also
scipy.cluster.vq.kmeans2 ("points"), once. On a busy machine take --threads 1.
"""

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial

import faiss
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn.functional import normalize

from pcl_contrastive.active_labeling import _k_means, select_points_to_label

N_POINTS, N_CHANNELS, N_OBJECTS, N_ITERATIONS = 150_000, 96, 300, 50


def scene() -> tuple[Tensor, Tensor]:
    """Each object near a feature and a place of its own; the largest have thousands of points."""
    generator = torch.Generator().manual_seed(0)
    sizes = 100 ** torch.rand(N_OBJECTS, generator=generator)
    instances = torch.multinomial(sizes, N_POINTS, replacement=True, generator=generator)
    features = torch.randn(N_OBJECTS, N_CHANNELS, generator=generator)[instances]
    features += torch.randn(N_POINTS, N_CHANNELS, generator=generator) / 2
    points = 8 * torch.rand(N_OBJECTS, 3, generator=generator)[instances]
    return features, points + torch.randn(N_POINTS, 3, generator=generator) / 4


def lloyd(rows: Tensor, n_centres: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = rows[torch.randperm(len(rows), generator=generator)[:n_centres]]
    for _ in range(N_ITERATIONS):
        owner = (centres.square().sum(dim=1) - 2 * rows @ centres.T).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, owner, rows)
        counts = torch.bincount(owner, minlength=n_centres)[:, None]
        centres = torch.where(counts > 0, sums / counts, centres)
    return centres


def inertia(rows: Tensor, centres: Tensor) -> float:
    return torch.cdist(rows, centres).amin(dim=1).double().square().sum().item()


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scipy", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    features, points = scene()
    rows = torch.cat([normalize(features), points - points.mean(dim=0)], dim=1)
    print(f"torch {torch.__version__}, faiss {faiss.__version__}, {platform.machine()}")
    print("labels  seconds  of Lloyd in torch  inertia, of Lloyd", flush=True)
    for n_labels in (20, 50, 100, 200):
        ours, peers = [], []
        for _ in range(3):
            ours.append(seconds(partial(select_points_to_label, features, points, n_labels)))
            peers.append(seconds(partial(lloyd, rows, n_labels)))
        time_ratio = statistics.median(ours) / statistics.median(peers)
        found = inertia(rows, _k_means(rows, n_labels, N_ITERATIONS, 0))
        ratio = found / inertia(rows, lloyd(rows, n_labels))
        print(
            f"{n_labels:6d}  {statistics.median(ours):7.2f}  {time_ratio:17.2f}  {ratio:17.3f}",
            flush=True,
        )
        if options.scipy:
            start = time.perf_counter()
            with warnings.catch_warnings(action="ignore"):  # of empty clusters
                centres, _ = kmeans2(rows.numpy(), n_labels, N_ITERATIONS, minit="points", seed=0)
            duration = time.perf_counter() - start
            ratio = found / inertia(rows, torch.from_numpy(centres))
            print(f"        scipy: {duration:.2f} s, our inertia {ratio:.3f} of its", flush=True)


if __name__ == "__main__":
    main()
