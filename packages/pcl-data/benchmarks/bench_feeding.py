"""How fast scenes become training samples: `python packages/pcl-data/benchmarks/bench_feeding.py`.

One thread; a synthetic room thickened to 150 thousand points, in a scene folder and in a shard
whose files are in the page cache. Medians of 15, after one call that is not counted.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from pcl_data import Scene, augmentation, load_scene, save_scene, voxelize
from pcl_data.datasets import SyntheticRooms
from pcl_data.feeding import voxel_sample
from pcl_data.shards import ShardFolder, write_shards

N_POINTS = 150_000


def main() -> None:
    scene = thickened(SyntheticRooms(1)[0])
    generator = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        save_scene(scene, Path(folder) / "room")
        write_shards([scene], Path(folder) / "shards")
        shards = ShardFolder(Path(folder) / "shards")

        def sample_of(read: Callable[[], Scene]) -> None:
            voxel_sample(read(), generator)

        sweep = street()
        print(f"{N_POINTS} points, {len(voxelize(scene.points, 0.02).coords)} voxels of 2 cm")
        report("voxelize, 2 cm", lambda: voxelize(scene.points, 0.02))
        report("voxelize, LiDAR at 10 cm", lambda: voxelize(sweep, 0.1))
        report(
            "two elastic distortions",
            lambda: augmentation.elastic_distortions(scene.points, generator, probability=1),
        )
        report(
            "sample from a scene folder", lambda: sample_of(lambda: load_scene(f"{folder}/room"))
        )
        report("sample from a shard", lambda: sample_of(lambda: shards[0]))


def thickened(scene: Scene) -> Scene:
    """The scene with points repeated, 1 cm apart, until there are `N_POINTS`."""
    generator = np.random.default_rng(0)
    rows = np.resize(np.arange(len(scene.points)), N_POINTS)
    noise = generator.normal(0, 0.01, (N_POINTS, 3)).astype(np.float32)
    fields = ("colors", "normals", "labels", "instances")
    arrays = {field: getattr(scene, field)[rows] for field in fields}
    return replace(scene, points=scene.points[rows] + noise, **arrays)


def street() -> np.ndarray:
    """Points as dense as those of a LiDAR: fewer far away, most near the ground."""
    generator = np.random.default_rng(0)
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
