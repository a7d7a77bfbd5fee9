"""Sampling, neighbors and PointNet++ on one thread, beside plain loops, fpsample and scipy.

    pip install --no-deps --target PEERS fpsample
    PYTHONPATH=PEERS python benchmarks/bench_point_operators.py

A room of 40,000 points (or of --points FILE, the `coord` of an .npz) and a cube. Medians of the
processor's time, all runs in turn, in milliseconds; ratios are to ours. fpsample is left out where
it is not installed; of its tree heights the fastest counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numba import njit
from scipy.spatial import cKDTree

from pcl_backbones.point_neighbors import ball_query, three_nearest
from pcl_backbones.point_sampling import furthest_points
from pcl_backbones.pointnet2 import N_NEIGHBORS, PointNet2

try:
    import fpsample
except ImportError:
    fpsample = None

REPEATS = 9
N_POINTS = 40_000
COUNTS, RADII = (2048, 1024, 512, 256), (0.2, 0.4, 0.8, 1.2)


def milliseconds(runs: dict[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """Median of each, run in turn so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if repeat:
                times[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def show(title: str, taken: dict[str, float]) -> None:
    """A line for each; ours is the first."""
    ours = next(iter(taken.values()))
    print(title)
    for name, value in taken.items():
        print(f"    {name:32s} {value:9.2f}   {value / ours:6.2f}")


@njit(nogil=True)
def plain_sampling(points, count):
    nearest, chosen = np.full(len(points), np.inf, points.dtype), np.zeros(count, np.int64)
    for k in range(1, count):
        x, y, z = points[chosen[k - 1]]
        most = points.dtype.type(-1)
        for i in range(len(points)):
            dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
            square = dx * dx + dy * dy + dz * dz
            if square < nearest[i]:
                nearest[i] = square
            if nearest[i] > most:
                most, chosen[k] = nearest[i], i
    return chosen


@njit(nogil=True)
def plain_ball(points, centers, limit, count):
    ids = np.zeros((len(centers), count), np.int64)
    for row in range(len(centers)):
        x, y, z = centers[row]
        n_found = 0
        for i in range(len(points)):
            dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
            if dx * dx + dy * dy + dz * dz < limit:
                if n_found == 0:
                    ids[row] = i
                ids[row, n_found] = i
                n_found += 1
                if n_found == count:
                    break
    return ids


def room(n: int) -> np.ndarray:
    """Floor, two walls, and tables and boxes on the floor, with 5 mm of noise; metres."""
    rng = np.random.default_rng(0)
    kind, at = rng.integers(0, 8, n), rng.random((n, 3)) * [8, 6, 2.5]
    for k, axis in enumerate((2, 0, 1)):
        at[kind == k, axis] = 0
    for k in range(3, 8):
        corner, face = rng.random(3) * [6, 5, 0], rng.integers(0, 3, n)
        box = rng.random((n, 3)) * [1.5, 0.8, 0.7]
        box[np.arange(n), face] = 0.7
        at[kind == k] = (box + corner)[kind == k]
    return (at + rng.normal(size=at.shape) * 0.005).astype(np.float32)


def compare_sampling(name: str, points: np.ndarray) -> None:
    scene = torch.from_numpy(points)[None]
    runs = {
        "ours": lambda: furthest_points(scene, COUNTS[0]),
        "plain numba loop": lambda: plain_sampling(points, COUNTS[0]),
    }
    same = np.array_equal(furthest_points(scene, COUNTS[0])[0], plain_sampling(points, COUNTS[0]))
    for height in (5, 6, 7, 8) if fpsample else ():
        runs[f"fpsample, buckets, height {height}"] = lambda height=height: (
            fpsample.bucket_fps_kdline_sampling(points, COUNTS[0], height, start_idx=0)
        )
    show(
        f"{name}: {len(points)} to {COUNTS[0]} points; ids as the loop's: {same}",
        milliseconds(runs),
    )


def compare_neighbors(name: str, points: np.ndarray) -> None:
    scene = torch.from_numpy(points)[None]
    levels = [points, *(points[furthest_points(scene, count)[0]] for count in COUNTS)]
    for k, (radius, count) in enumerate(zip(RADII, N_NEIGHBORS, strict=True)):
        rows, centers = levels[k], levels[k + 1]
        pair = torch.from_numpy(rows)[None], torch.from_numpy(centers)[None]
        plain = (rows, centers, np.float32(radius) ** 2, count)
        runs = {
            "ours": lambda p=pair, r=radius, c=count: ball_query(*p, radius=r, count=c),
            "plain numba loop": lambda p=plain: plain_ball(*p),
            "scipy cKDTree, all ids, sorted": lambda p=rows, q=centers, r=radius: (
                cKDTree(p).query_ball_point(q, r, return_sorted=True)
            ),
        }
        ours = ball_query(*pair, radius=radius, count=count)[0]
        same = np.array_equal(ours, plain_ball(*plain))
        title = f"{len(rows)} points, {len(centers)} balls of {radius} m, {count} ids"
        show(f"{name}: {title}; as the loop's: {same}", milliseconds(runs))
    known = torch.from_numpy(levels[1])[None]
    runs = {
        "ours": lambda: three_nearest(scene, known),
        "scipy cKDTree": lambda: cKDTree(levels[1]).query(points, 3),
    }
    show(f"{name}: three nearest of {COUNTS[0]} to {len(points)} points", milliseconds(runs))


def time_network(points: np.ndarray) -> None:
    """Inference and a training step of one scene, and what part of it searches."""
    scene, features = torch.from_numpy(points)[None], torch.from_numpy(points[None, None, :, 2])
    network = PointNet2(1)
    levels = [scene, *(scene[:, furthest_points(scene, count)[0]] for count in COUNTS)]

    def search() -> None:
        furthest_points(scene, COUNTS[0])
        for k, (radius, count) in enumerate(zip(RADII, N_NEIGHBORS, strict=True)):
            ball_query(levels[k], levels[k + 1], radius=radius, count=count)
        three_nearest(levels[3], levels[4])
        three_nearest(levels[2], levels[3])

    def step() -> None:
        network.train()(scene, features).features.square().mean().backward()

    def inference() -> None:
        with torch.inference_mode():
            network.eval()(scene, features)

    runs = {"training step": step, "inference": inference, "sampling and neighbors of it": search}
    show("PointNet2, one scene", milliseconds(runs, 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    scan = np.load(options.points)["coord"][:N_POINTS] if options.points else room(N_POINTS)
    clouds = {"scan" if options.points else "room": np.ascontiguousarray(scan, np.float32)}
    clouds["cube"] = np.random.default_rng(0).random((N_POINTS, 3), dtype=np.float32)
    print(f"torch {torch.__version__}, numpy {np.__version__}; milliseconds, and times ours")
    for name, points in clouds.items():
        compare_sampling(name, points)
        compare_neighbors(name, points)
    time_network(next(iter(clouds.values())))


if __name__ == "__main__":
    main()
