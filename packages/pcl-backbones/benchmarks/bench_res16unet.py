"""One training step (forward and backward) of Res16UNets on rooms, one CPU thread.

Rooms of 11 000 and 58 000 voxels: a floor, two walls and eight boxes, at two voxel sizes.
`python bench_res16unet.py` prints the median and the interquartile range of five steps after a
warm-up, and the machine.
"""

import platform
import statistics
import time
from pathlib import Path

import torch

from pcl_backbones import Res16UNet14A, Res16UNet34C, SparseTensor

NETWORKS = {
    "Res16UNet14A width 0.5": lambda: Res16UNet14A(3, 20, width=0.5),
    "Res16UNet14A": lambda: Res16UNet14A(3, 20),
    "Res16UNet34C": lambda: Res16UNet34C(3, 20),
}


def room(voxel_size: float) -> torch.Tensor:
    """Voxels of points on the surfaces of a room of 5 m x 4 m x 2.5 m."""
    generator = torch.Generator().manual_seed(0)

    def surface(corner, extent, normal, n):
        points = torch.rand(n, 3, generator=generator) * extent
        points[:, normal] = 0
        return points + corner

    points = [
        surface(torch.zeros(3), torch.tensor([5.0, 4, 2.5]), axis, 200_000) for axis in range(3)
    ]
    for _ in range(8):
        corner = torch.rand(3, generator=generator) * torch.tensor([4.0, 3, 0])
        extent = 0.4 + torch.rand(3, generator=generator)
        for axis in range(3):
            far = torch.zeros(3).index_fill(0, torch.tensor(axis), 1) * extent
            points += [surface(corner + side, extent, axis, 20_000) for side in (0 * far, far)]
    voxels = torch.unique((torch.cat(points) / voxel_size).floor().int(), dim=0)
    return torch.nn.functional.pad(voxels, (1, 0))


def step(network: torch.nn.Module, coords: torch.Tensor, features: torch.Tensor) -> float:
    """Seconds of one step, kernel maps included."""
    start = time.perf_counter()
    network(SparseTensor(coords, features)).features.square().mean().backward()
    if coords.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_memory() -> float:
    """The most memory that this process has held, GiB (Linux)."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 2**20


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {platform.machine()}, 1 thread")
    for voxel_size in (0.08, 0.035):
        coords = room(voxel_size)
        coords = coords[torch.randperm(len(coords))]
        features = torch.randn(len(coords), 3)
        for name, build in NETWORKS.items():
            network = build()
            seconds = [step(network, coords, features) for _ in range(6)][1:]
            low, median, high = statistics.quantiles(seconds, n=4)
            print(f"{len(coords)} voxels, {name}: {median:.2f} s (IQR {low:.2f}-{high:.2f})")


if __name__ == "__main__":
    main()
