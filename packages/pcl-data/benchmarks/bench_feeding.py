"""How fast points become batches: `python packages/pcl-data/benchmarks/bench_feeding.py`.

One thread; 150 thousand points as dense as those of a room and of a LiDAR sweep. Medians of 15,
after one call that is not counted.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from pcl_data import collate, voxelize
from pcl_data.augmentation import elastic_distortions

N_POINTS = 150_000


def main() -> None:
    generator = np.random.default_rng(0)
    points, sweep = room(generator), street(generator)
    coords, index, inverse = voxelize(points, 0.02)
    sample = {"coords": coords, "points": points[index], "inverse": inverse}
    print(f"{N_POINTS} points of a room, {len(coords)} voxels of 2 cm")
    report("voxelize, a room at 2 cm", lambda: voxelize(points, 0.02))
    report("voxelize, a sweep at 10 cm", lambda: voxelize(sweep, 0.1))
    report("two elastic distortions", lambda: elastic_distortions(points, generator, probability=1))
    report("collate, four samples", lambda: collate([sample] * 4))


def room(generator: np.random.Generator) -> np.ndarray:
    """Points of the six sides of a room of 5 x 4 x 2.5 m, with a noise of 1 cm."""
    size = np.array([5.0, 4.0, 2.5])
    points = generator.uniform(0, size, (N_POINTS, 3))
    rows, axis = np.arange(N_POINTS), generator.integers(0, 3, N_POINTS)
    points[rows, axis] = size[axis] * generator.integers(0, 2, N_POINTS)
    return (points + generator.normal(0, 0.01, points.shape)).astype(np.float32)


def street(generator: np.random.Generator) -> np.ndarray:
    """Points as dense as those of a LiDAR: fewer far away, most near the ground."""
    points = generator.normal(0, 25, (N_POINTS, 3))
    points[:, 2] = generator.exponential(1, N_POINTS)
    return points.astype(np.float32)


def report(name: str, call: Callable[[], object]) -> None:
    call()
    times = []
    for _ in range(15):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    print(f"{name:28s} {1e3 * median(times):6.1f} ms (best {1e3 * min(times):.1f})")


if __name__ == "__main__":
    main()
