"""One million vectors of 384 channels, 1,000 queries, 64 neighbors: exact, lists, and faiss alone.

Vectors lie around 5,000 directions, as embeddings of images do around what they show, and queries
around 300 of these. Prints wall and CPU seconds, the rows found, and the share of the exact ones:

    python packages/pcl-calibration/benchmarks/bench_retrieval.py [--threads 2] [--rows 1000000]
"""

import argparse
import time
from collections.abc import Callable

import faiss
import torch
from torch import Tensor

from pcl_calibration.retrieval import retrieve_unlabeled

DIM, N_KINDS, N_RARE, NOISE = 384, 5000, 300, 0.05  # the noise is as long as the direction


def around(kinds: Tensor, n: int, generator: torch.Generator) -> Tensor:
    kind = torch.randint(len(kinds), (n,), generator=generator)
    return kinds[kind].add_(torch.randn(n, DIM, generator=generator), alpha=NOISE)


def exact_of_faiss(queries: Tensor, bank: Tensor, n_neighbors: int) -> Tensor:
    """Unique rows by the exact search of faiss; it takes directions as they are."""
    directions = (rows / rows.norm(dim=1, keepdim=True) for rows in (queries, bank))
    q, b = (rows.numpy() for rows in directions)
    found = faiss.knn(q, b, n_neighbors, metric=faiss.METRIC_INNER_PRODUCT)[1]
    return torch.from_numpy(found).unique()


def report(name: str, search: Callable[[], Tensor], exact: Tensor | None = None) -> Tensor:
    wall, cpu = time.perf_counter(), time.process_time()
    found = search()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    recall = 1.0 if exact is None else torch.isin(exact, found).double().mean().item()
    print(
        f"{name:32} {wall:8.1f} s  {cpu:8.1f} s CPU  {len(found):7,} rows  {recall:.4f}", flush=True
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    print(f"torch {torch.__version__}, faiss {faiss.__version__}, {options.threads} threads")
    generator = torch.Generator().manual_seed(0)
    kinds = torch.randn(N_KINDS, DIM, generator=generator)
    kinds /= kinds.norm(dim=1, keepdim=True)
    bank = torch.empty(options.rows, DIM)
    for part in bank.split(50_000):
        part.copy_(around(kinds, len(part), generator))
    queries = around(kinds[:N_RARE], options.queries, generator)

    exact = report("exact", lambda: retrieve_unlabeled(queries, bank))
    for n_probes in (8, 32):
        report(
            f"ivf, {n_probes} probes",
            lambda n=n_probes: retrieve_unlabeled(queries, bank, index="ivf", n_probes=n),
            exact,
        )
    report("faiss.knn, exact", lambda: exact_of_faiss(queries, bank, 64), exact)


if __name__ == "__main__":
    main()
