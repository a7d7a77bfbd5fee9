"""Mining frame pairs: seconds and memory for 100 frames of 640 x 480, against search in all pairs.

A box room of 8 x 6 x 3 m with 20 boxes, rendered by slab tests along a walk (depth noise of 0.2 %
and 5 % missing pixels), as 16-bit millimetres in memory; each frame is decoded when it is asked
for. The alternatives search on clouds that are thinned already: a tree of every frame is asked for
all points of every other frame at once, and point by point, as the published script does (with
another library's tree). Both are timed on some pairs and extrapolated to all.

    OPENBLAS_NUM_THREADS=1 python packages/pcl-data/benchmarks/bench_pairs.py [frames]
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from pcl_data import Frame, LazyFrames, voxelize
from pcl_data.pairs import correspondences, cut_views, mine_pairs, unproject

ROOM, HEIGHT, WIDTH, RADIUS = np.array([8.0, 6.0, 3.0]), 480, 640, 0.075
INTRINSICS = np.array([[577.0, 0, WIDTH / 2], [0, 577.0, HEIGHT / 2], [0, 0, 1]])


def render(low: np.ndarray, high: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Depth of the first surface on the ray of each pixel: the room from inside, the boxes."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
    rays = camera_to_world[:3, :3] @ np.linalg.inv(INTRINSICS) @ pixels
    rays[rays == 0] = 1e-12
    eye = camera_to_world[:3, 3:]
    depth = np.maximum(-eye / rays, (ROOM[:, None] - eye) / rays).min(axis=0)
    for corner_a, corner_b in zip(low, high, strict=True):
        enter, leave = (corner_a[:, None] - eye) / rays, (corner_b[:, None] - eye) / rays
        near, far = np.minimum(enter, leave).max(axis=0), np.maximum(enter, leave).min(axis=0)
        depth = np.where((near < far) & (near > 0) & (near < depth), near, depth)
    return depth.reshape(HEIGHT, WIDTH)


def camera(at: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Pose at a part of the walk, lifted out of the boxes."""
    angle = 3 * np.pi * at
    eye = np.array([4 + 2.2 * np.cos(0.7 * angle), 3 + 1.5 * np.sin(0.7 * angle), 1.5])
    while ((eye > low - 0.1) & (eye < high + 0.1)).all(axis=1).any():
        eye[2] += 0.1
    forward = np.array([np.cos(2 * angle), np.sin(2 * angle), -0.4])
    forward /= np.linalg.norm(forward)
    right = np.array([forward[1], -forward[0], 0]) / np.linalg.norm(forward[:2])
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, eye], axis=1)
    return pose


def make_frames(n_frames: int) -> LazyFrames:
    rng = np.random.default_rng(0)
    half = rng.uniform(0.2, 0.6, (20, 3))
    center = rng.uniform([0.8, 0.8, 0], ROOM - 0.8, (20, 3))
    center[:, 2] = half[:, 2]
    low, high = center - half, center + half
    poses = [camera(index / n_frames, low, high) for index in range(n_frames)]
    depths = []
    for pose in poses:
        depth = render(low, high, pose) * rng.normal(1, 0.002, (HEIGHT, WIDTH))
        depth[rng.random(depth.shape) < 0.05] = 0
        depths.append((1000 * depth).astype(np.uint16))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def read(name: str) -> Frame:
        depth = depths[int(name)].astype(np.float32) / 1000
        return Frame(image, depth, INTRINSICS, poses[int(name)])

    return LazyFrames([str(index) for index in range(n_frames)], read)


def memory(field: str) -> float:
    """A figure of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(field))


def median_seconds(function, runs: int = 3) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def search_all(clouds: list[np.ndarray]) -> None:
    for i, tree in enumerate([KDTree(cloud) for cloud in clouds]):
        for j, cloud in enumerate(clouds):
            if i != j:
                tree.query(cloud, distance_upper_bound=RADIUS)


def search_point_by_point(cloud: np.ndarray, other: np.ndarray) -> None:
    tree = KDTree(cloud)
    for point in other:
        tree.query_ball_point(point, RADIUS)


def main(n_frames: int = 100) -> None:
    frames = make_frames(n_frames)
    before, peak_before = memory("VmRSS"), memory("VmHWM")
    mined = mine_pairs(frames)
    print(f"{n_frames} frames, {len(mined.pairs)} pairs from an overlap of 0.3")
    print(f"memory: {before:.0f} MB before (peak {peak_before:.0f}), {memory('VmHWM'):.0f} MB peak")
    print(f"mine_pairs: {median_seconds(lambda: mine_pairs(frames)):.1f} s")
    print(f"  of it unproject: {median_seconds(lambda: list(map(unproject, frames))):.1f} s")

    raw = [unproject(frames[index]).points for index in range(0, n_frames, max(n_frames // 12, 1))]
    clouds = [cloud[voxelize(cloud, 0.05).index].astype(np.float64) for cloud in raw]
    n_timed, n_all = len(clouds) * (len(clouds) - 1), n_frames * (n_frames - 1)
    seconds = median_seconds(lambda: search_all(clouds)) / n_timed * n_all
    print(f"trees of all pairs, thinned before: {seconds:.1f} s from {n_timed} of {n_all}")
    seconds = median_seconds(lambda: search_point_by_point(clouds[0], clouds[1])) * n_all
    print(f"the same point by point: {seconds:.0f} s from 1 of {n_all}")

    neighbours = [unproject(frames[index]).points for index in (0, 1)]
    a, b = (cloud[voxelize(cloud, 0.025).index] for cloud in neighbours)
    seconds = median_seconds(lambda: correspondences(a, b))
    found = len(correspondences(a, b))
    print(f"correspondences, {len(a)} and {len(b)} points, {found} pairs: {1000 * seconds:.0f} ms")
    scene = np.concatenate(raw)[::25][:150_000]
    seconds = median_seconds(lambda: cut_views(scene, np.random.default_rng(0)))
    print(f"cut_views of {len(scene)} points: {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
