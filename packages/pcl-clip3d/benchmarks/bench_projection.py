"""Points of a room projected into its views, with visibility, against plain numpy.

150,000 points of a room of 6 x 5 x 3 m and 50 cameras in it that look around, 640 x 480 pixels. A
point-view projection is one point and one view: whether the point is seen, and at which pixel. The
plain way multiplies homogeneous coordinates of all points with the inverse of the pose and tests
all of them. Both are given the same depth images, those of the z-buffer; its time is apart.

    OMP_NUM_THREADS=1 python packages/pcl-clip3d/benchmarks/bench_projection.py [cuda]

Seconds are of all views: of the processor on a CPU, of the clock on a GPU; the median of several
runs that take turns.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pcl_clip3d.pixel_pairs import pair_pixels
from pcl_clip3d.projection import depth_buffer, project_points

ROOM, SIZE, N_POINTS, N_VIEWS, RUNS = (6.0, 5.0, 3.0), (480, 640), 150_000, 50, 7
INTRINSICS = np.array([[577.0, 0, 319.5], [0, 577, 239.5], [0, 0, 1]], np.float32)


def room() -> np.ndarray:
    """Points on the walls, the floor and the ceiling, and in twenty boxes."""
    generator = np.random.default_rng(0)
    points = generator.random((N_POINTS, 3)) * ROOM
    wall, side = generator.integers(0, 3, N_POINTS), generator.integers(0, 2, N_POINTS)
    rows = np.arange(N_POINTS)
    points[rows, wall] = side * np.array(ROOM)[wall]
    boxes = generator.random((20, 3)) * ROOM
    points[::3] = boxes[generator.integers(0, 20, len(points[::3]))] + 0.4 * points[::3] / ROOM
    return points.astype(np.float32)


def poses() -> list[np.ndarray]:
    """Cameras at eye level that turn about z."""
    found = []
    for angle in np.linspace(0, 2 * np.pi, N_VIEWS, endpoint=False):
        forward = np.array([np.cos(angle), np.sin(angle), -0.3])
        forward /= np.linalg.norm(forward)
        right = np.array([forward[1], -forward[0], 0]) / np.hypot(*forward[:2])
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(forward, right), forward, [3, 2.5, 1.5]], axis=1)
        found.append(pose)
    return found


def plain(points: np.ndarray, pose: np.ndarray, depth_image: np.ndarray) -> np.ndarray:
    """Rows of the points that are seen, their pixels' rows and columns."""
    height, width = depth_image.shape
    homogeneous = np.concatenate([points, np.ones((len(points), 1), points.dtype)], axis=1)
    x, y, z = (homogeneous @ np.linalg.inv(pose).T)[:, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.round(INTRINSICS[0, 0] * x / z + INTRINSICS[0, 2])
        v = np.round(INTRINSICS[1, 1] * y / z + INTRINSICS[1, 2])
    seen = (z > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    rows = np.flatnonzero(seen)
    u, v = u[rows].astype(np.int64), v[rows].astype(np.int64)
    measured = depth_image[v, u]
    near = (np.abs(measured - z[rows]) <= 0.05) & (measured > 0)
    return np.stack([rows[near], v[near], u[near]], axis=1)


def seconds(call: Callable[[], object], device: str) -> float:
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    print(f"torch {torch.__version__}, {name}, {torch.get_num_threads()} threads")
    points, cameras = room(), poses()
    cloud, matrix = torch.from_numpy(points).to(device), torch.from_numpy(INTRINSICS)
    tensors = [torch.from_numpy(pose) for pose in cameras]

    def buffer(pose: Tensor) -> Tensor:
        return depth_buffer(*project_points(cloud, matrix, pose), SIZE, splat=577 * 0.02)

    depths = [buffer(pose) for pose in tensors]
    arrays = [depth.cpu().numpy() for depth in depths]

    def ours(**options: object) -> list:
        views = zip(tensors, depths, strict=True)
        return [pair_pixels(cloud, matrix, p, SIZE, depth_image=d, **options) for p, d in views]

    ways: dict[str, Callable[[], list]] = {
        "plain numpy": lambda: [plain(points, p, d) for p, d in zip(cameras, arrays, strict=True)],
        "pair_pixels": ours,
        "project_points": lambda: [project_points(cloud, matrix, pose) for pose in tensors],
        "+ depth_buffer": lambda: [buffer(pose) for pose in tensors],
    }
    theirs, pairs = ways["plain numpy"](), ours()
    print(f"pairs: {sum(map(len, theirs)):,} and {sum(len(p.point_index) for p in pairs):,}")
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(RUNS + 1):  # the first warms up
        for way, call in ways.items():
            taken[way].append(seconds(call, device))
    for way, runs in taken.items():
        median = statistics.median(runs[1:])
        print(
            f"{way:16s} {median:8.4f} s  {N_POINTS * N_VIEWS / median / 1e6:7.1f} million a second"
        )


if __name__ == "__main__":
    main()
