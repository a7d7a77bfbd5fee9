"""Geometric sets of real scans and sweeps, against published segments and against labels.

    OMP_NUM_THREADS=1 python benchmarks/geometric_sets.py --data ../shared/data

Writes `results/geometric_sets.md`. Times are CPU times of one thread, which other work on the
machine hardly changes: the median of several runs after one that compiles.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pages import head, how_it_was_made, line, percent
from records import RESULTS
from sklearn.metrics import adjusted_rand_score

from pcl_clip3d.mesh_segments import segment_mesh
from pcl_clip3d.point_segments import segment_points
from pcl_clip3d.supervoxels import supervoxels
from pcl_data import NYU40, Scene
from pcl_data.datasets import ScanNet, SceneFolder, SemanticKitti

SCAN = "scene0000_00"
ROOM_VOXELS = {"voxel_size": 0.05, "seed_size": 0.3}
ABOUT = """\
# Geometric sets

Points that lie on one smooth part of a surface, found without labels: `segment_mesh` (Felzenszwalb
and Huttenlocher, IJCV 2004, as ScanNet's segmentator), `segment_points` (the same on nearest
neighbours), `supervoxels` (VCCS, Papon et al., CVPR 2013). Parameters are the defaults unless a row
names others.

*Leak* is the under-segmentation error: the share of labeled points outside the label that most
points of their set S have,

    1 - sum over S of (max over labels l of |{p in S : l_p = l}|) / (number of labeled points).

Zero means that a vote with true labels changes nothing. Sets of one point leak nothing, so compare
at like numbers of sets. *ARI* is the adjusted Rand index of two partitions: 1 for equal ones, 0 for
unrelated ones. An *object* is an instance of a thing, or all of another class.
"""


class Row(NamedTuple):
    """What one way finds in one scene."""

    n_points: int
    n_sets: int
    covered: float
    ari: float
    leaks: list[float]  # segs.json, classes, objects
    seconds: float


def measure(scene: Scene, find: Callable[[Scene], torch.Tensor], repeats: int) -> Row:
    sets = find(scene).numpy()  # compiles
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        find(scene)
        seconds.append(time.process_time() - start)
    ari, leaks = float("nan"), [float("nan")]
    if scene.superpoints is not None:
        ari = adjusted_rand_score(scene.superpoints, sets)
        leaks = [leak(sets, scene.superpoints)]
    leaks += [leak(sets, scene.labels), leak(sets, objects(scene))]
    count = len(np.unique(sets[sets >= 0]))
    middle = statistics.median(seconds) if seconds else float("nan")
    return Row(len(sets), count, float(np.mean(sets >= 0)), ari, leaks, middle)


def leak(sets: np.ndarray, labels: np.ndarray) -> float:
    """Share of the labeled points in sets that are outside the main label of their set."""
    pairs = np.stack([sets, labels], axis=1)[(sets >= 0) & (labels >= 0)]
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    _, starts = np.unique(found[:, 0], return_index=True)
    return 1 - np.maximum.reduceat(counts, starts).sum() / len(pairs)


def objects(scene: Scene) -> np.ndarray:
    """One id for each pair of class and instance, -1 where there is no label."""
    pairs = np.stack([scene.labels, scene.instances], axis=1)
    ids = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
    return np.where(scene.labels >= 0, ids, -1)


def published(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(scene.superpoints)


def of_mesh(scene: Scene) -> torch.Tensor:
    return segment_mesh(torch.from_numpy(scene.points), torch.from_numpy(scene.faces))


def of_points(scene: Scene, **options: float) -> torch.Tensor:
    return segment_points(torch.from_numpy(scene.points), **options)


def of_voxels(scene: Scene, **options: float) -> torch.Tensor:
    return supervoxels(torch.from_numpy(scene.points), **options)


def named(function: str, options: dict[str, float]) -> str:
    return f"`{function}`" + "".join(f", {name} {value}" for name, value in options.items())


def scan_table(scene: Scene, repeats: int) -> Iterable[str]:
    ways = {
        "`segs.json`": published,
        "`segment_mesh`": of_mesh,
        "`segment_points`": of_points,
        named("supervoxels", ROOM_VOXELS): partial(of_voxels, **ROOM_VOXELS),
    }
    columns = ["sets", "ARI with `segs.json`", "leak of `segs.json`", "of NYU40", "of objects"]
    yield from head("", *columns, "seconds", "sets a second")
    for name, find in ways.items():
        row = measure(scene, find, repeats)
        speed = ["-", "-"]
        if find is not published:
            speed = [f"{row.seconds:.2f}", f"{row.n_sets / row.seconds:,.0f}"]
        yield line(name, f"{row.n_sets:,}", f"{row.ari:.3f}", *map(percent, row.leaks), *speed)


def many_table(
    scenes: list[Scene], ways: dict[str, Callable[[Scene], torch.Tensor]], repeats: int
) -> Iterable[str]:
    """Means over scenes."""
    columns = ["sets", "points in a set", "leak of classes", "of objects"]
    yield from head("", *columns, "seconds", "sets a second")
    for name, find in ways.items():
        rows = [measure(scene, find, repeats) for scene in scenes]
        sets, seconds, covered = (
            statistics.mean(values)
            for values in zip(*((r.n_sets, r.seconds, r.covered) for r in rows), strict=True)
        )
        leaks = np.mean([row.leaks[-2:] for row in rows], axis=0)
        numbers = [f"{sets:,.0f}", percent(covered), *map(percent, leaks)]
        yield line(name, *numbers, f"{seconds:.2f}", f"{sets / seconds:,.0f}")


def page(data: Path, repeats: int) -> Iterable[str]:
    yield from ABOUT.splitlines()
    scan = ScanNet(data / "scannet", [SCAN], label_set=NYU40)[0]
    yield from ["", "## A mesh", ""]
    yield f"`{SCAN}` of ScanNet, {len(scan.points):,} vertices and {len(scan.faces):,} faces."
    yield "The annotation is made of whole sets of `segs.json`: these leak nothing, and others leak"
    yield from ["where the annotation itself is coarse.", ""]
    yield from scan_table(scan, repeats)
    folder = data / "scannet" / "points50k"
    rooms = list(SceneFolder(folder, label_set=NYU40, label_ids="raw"))
    yield from ["", "## Clouds without faces", ""]
    yield from [f"{len(rooms)} scans of ScanNet with 50,000 points each, of NYU40 classes.", ""]
    ways = {
        "`segment_points`": of_points,
        named("supervoxels", ROOM_VOXELS): partial(of_voxels, **ROOM_VOXELS),
    }
    yield from many_table(rooms, ways, 1)
    sweeps = list(SemanticKitti(data / "semantickitti", ["00/000000", "00/000001", "00/000002"]))
    yield from ["", "## Sweeps", ""]
    size = round(statistics.mean(len(sweep.points) for sweep in sweeps))
    yield from [f"{len(sweeps)} sweeps of SemanticKITTI, {size:,} points each on average.", ""]
    ways = {"`supervoxels`": of_voxels, "`segment_points`": of_points}
    yield from many_table(sweeps, ways, repeats)
    yield ""
    yield from how_it_was_made("geometric_sets.py --data DATA")
    yield f"- Seconds of one core's time, median of {repeats} runs after one that compiles."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS / "geometric_sets.md")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for text in page(options.data, options.repeats):
        lines.append(text)
        print(text, file=sys.stderr)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
