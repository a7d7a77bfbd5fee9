"""The queue of SSPL at its published size: 300,000 features of 128 channels, 64 clusters.

Features lie around 40 directions whose shares fall as 1 / rank, as scenes repeat walls and floors.
Prints the median and the range of several runs, each ended by a synchronisation on a GPU:

    python packages/pcl-contrastive/benchmarks/bench_queue.py [--device cuda] [--threads 2]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch.nn import functional

from pcl_contrastive.cluster_contrast import cluster_info_nce
from pcl_contrastive.feature_queue import FeatureQueue
from pcl_contrastive.queue_clusters import QueueClusters
from pcl_contrastive.sinkhorn import sinkhorn_assignment

SIZE, DIM, N_CLUSTERS, N_KINDS = 300_000, 128, 64, 40


def features(n: int, generator: torch.Generator) -> torch.Tensor:
    kinds = functional.normalize(
        torch.randn(N_KINDS, DIM, generator=torch.Generator().manual_seed(1)), dim=1
    )
    kind = torch.multinomial(1 / torch.arange(1, N_KINDS + 1), n, True, generator=generator)
    return functional.normalize(
        kinds[kind] + 0.05 * torch.randn(n, DIM, generator=generator), dim=1
    )


def report(name: str, function: Callable[[], object], *, repeats: int, device: str) -> None:
    seconds = []
    for _ in range(repeats + 1):  # the first is a warm-up
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(1e3 * (time.perf_counter() - start))
    low, middle, high = min(seconds[1:]), statistics.median(seconds[1:]), max(seconds[1:])
    print(f"{name:48} {middle:10.2f} ms   ({low:.2f} to {high:.2f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device, repeats = options.device, options.repeats
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {device}, {options.threads} threads")
    warnings.simplefilter("always")

    generator = torch.Generator().manual_seed(0)
    queue = FeatureQueue(SIZE, DIM).to(device)
    queue.enqueue(features(SIZE, generator).to(device))
    rows = features(400, generator).to(device)
    report("enqueue 400", lambda: queue.enqueue(rows), repeats=100, device=device)

    clusters = QueueClusters(DIM, N_CLUSTERS, queue_size=SIZE).to(device)
    random = functional.normalize(torch.randn_like(queue.features), dim=1) @ clusters.prototypes.T
    report(
        "sinkhorn_assignment, random features",
        lambda: sinkhorn_assignment(random),
        repeats=repeats,
        device=device,
    )
    # Each refresh finds the prototypes of the one before: the warm-up those of the start.
    report(
        "QueueClusters.refresh",
        lambda: clusters.refresh(queue.filled),
        repeats=repeats,
        device=device,
    )

    for m in (400, 4_000, 40_000):
        teacher = features(m, generator).to(device)
        student = (teacher + 0.1 * torch.randn_like(teacher)).requires_grad_()
        report(
            f"cluster_info_nce and its gradient, {m} volumes",
            lambda s=student, t=teacher: cluster_info_nce(
                s, t, queue.filled, clusters.labels
            ).backward(),
            repeats=repeats,
            device=device,
        )


if __name__ == "__main__":
    main()
