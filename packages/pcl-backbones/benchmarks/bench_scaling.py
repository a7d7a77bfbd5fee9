"""Seconds and memory of a forward pass against the number of voxels, and the share of kernel maps.

    python packages/pcl-backbones/benchmarks/bench_scaling.py

Scenes are rooms of 27,786 voxels side by side (or a part of one). The share of the kernel maps is
what a pass takes more than one that finds them made. Medians of five passes, each scene in a
process of its own.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time

import torch
from bench_res16unet import peak_memory, room

from pcl_backbones import Res16UNet14A, SparseTensor

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)
VOXEL_SIZE = 0.05


def rooms(n_voxels: int) -> torch.Tensor:
    """The first voxels of as many rooms as it takes, in a square of rooms."""
    one = room(VOXEL_SIZE)
    extent = one.amax(0) + 2
    n_rooms = -(-n_voxels // len(one))
    side = int(n_rooms**0.5 + 0.999)
    places = [torch.tensor([0, i // side, i % side, 0]) * extent for i in range(n_rooms)]
    return torch.cat([one + place for place in places])[:n_voxels].int()


def measure(n_voxels: int) -> None:
    """Print medians as JSON."""
    torch.manual_seed(0)
    coords = rooms(n_voxels)
    features = torch.randn(len(coords), 3)
    network = Res16UNet14A(3, 20, width=0.5).eval()
    times: dict[str, list[float]] = {"whole": [], "maps made": []}
    with torch.inference_mode():
        for _ in range(6):
            x = SparseTensor(coords, features)
            for found in times.values():
                start = time.perf_counter()
                network(x)
                found.append(time.perf_counter() - start)
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    print(json.dumps(medians | {"memory": peak_memory()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", type=int, metavar="N_VOXELS")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    print("Res16UNet14A, width 0.5, evaluation")
    print(" voxels  seconds  microseconds a voxel  kernel maps  memory (GiB)")
    for n_voxels in SIZES:
        command = [sys.executable, __file__, "--measure", str(n_voxels)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        share = 1 - found["maps made"] / found["whole"]
        print(
            f"{n_voxels:7d}  {found['whole']:7.3f}  {1e6 * found['whole'] / n_voxels:20.2f}"
            f"  {share:11.0%}  {found['memory']:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
