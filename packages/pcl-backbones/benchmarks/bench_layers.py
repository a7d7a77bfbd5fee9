"""Single 3x3x3 layers against the dense product of the same operations, and against plain torch.

    python benchmarks/bench_layers.py --threads 2

For each width: a forward and backward pass of one layer over a room of about 100,000 voxels, of
which the share of the dense product counts: the time of square-ish matrix products that multiply
as many rows, in pieces that stay in the cache. Medians of five, all taken in turn.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from bench_res16unet import room

from pcl_backbones import SparseTensor, cpu_engine, device_engine
from pcl_backbones.sparse import kernel_map

WIDTHS = (32, 64, 96, 128, 256)
PIECE = 2048  # rows of a dense product
REPEATS = 5


def seconds(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median of each, run in turn so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(REPEATS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def passes(engine, features, kernel, gradient, found) -> None:
    """Forward, and both gradients."""
    engine.sum_of_products(features, kernel, found)
    engine.sum_of_products(gradient, kernel.transpose(1, 2), found.transposed)
    engine.outer_products(features, gradient, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--voxel-size", type=float, default=0.025)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    coords = room(options.voxel_size)
    found = kernel_map(SparseTensor(coords, torch.empty(len(coords), 1)), 3)
    n_pairs = len(found.flat[0])
    print(f"torch {torch.__version__}, {platform.machine()}, {options.threads} threads")
    print(f"{len(coords)} voxels, {n_pairs / len(coords):.1f} neighbours each")
    print("channels  dense GFLOP/s  of it:  tiles  plain torch  bfloat16 (of dense float32)")
    for width in WIDTHS:
        features, gradient = torch.randn(2, len(coords), width)
        kernel = torch.randn(27, width, width) / (27 * width) ** 0.5
        piece, weight = torch.randn(PIECE, width), kernel[0]
        out = torch.empty_like(piece)

        def dense(piece=piece, weight=weight, out=out) -> None:
            for _ in range(3 * n_pairs // PIECE):
                torch.mm(piece, weight, out=out)

        half = [values.bfloat16() for values in (features, kernel, gradient)]
        single = (features, kernel, gradient)
        taken = seconds(
            {
                "dense": dense,
                "tiles": lambda s=single: passes(cpu_engine, *s, found),
                "plain": lambda s=single: passes(device_engine, *s, found),
                "bfloat16": lambda s=half: passes(cpu_engine, *s, found),
            }
        )
        flops = 2 * (3 * n_pairs // PIECE * PIECE) * width**2
        shares = {name: taken["dense"] / value for name, value in taken.items()}
        print(
            f"{width:8d}  {flops / taken['dense'] / 1e9:13.0f}  {shares['tiles']:13.0%}"
            f"  {shares['plain']:11.0%}  {shares['bfloat16']:9.0%}"
        )


if __name__ == "__main__":
    main()
