"""Seconds and memory of a forward pass against the number of voxels, and the share of kernel maps.

    python packages/pcl-backbones/benchmarks/bench_scaling.py

Scenes are rooms of 27,786 voxels side by side (or a part of one). The share of the kernel maps is
the time in which those of a pass are made once more, with the lists that the engine reads, of the
time of the pass. Medians of three passes, each scene in a process of its own.
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

from pcl_backbones import Res16UNet34C, SparseTensor
from pcl_backbones.sparse_tensor import in_raster_order

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
    network = Res16UNet34C(3, 20).eval()
    passes, maps = [], []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            x = SparseTensor(coords, features)
            network(x)
            passes.append(time.perf_counter() - start)
            used = in_raster_order(x)[0]._cache.maps
            start = time.perf_counter()
            again, _ = in_raster_order(SparseTensor(coords, features))
            for sizes, found in used.items():
                made = again._cache.kernel_map(*sizes)
                for n_rows in found._cuts:
                    made.cuts(n_rows)
                for n_rows in found.transposed._cuts:
                    made.transposed.cuts(n_rows)
            maps.append(time.perf_counter() - start)
    medians = {"pass": statistics.median(passes[1:]), "maps": statistics.median(maps[1:])}
    print(json.dumps(medians | {"memory": peak_memory()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", type=int, metavar="N_VOXELS")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    print("Res16UNet34C, evaluation, float32")
    print(" voxels  seconds  microseconds a voxel  kernel maps  memory (GiB)")
    for n_voxels in SIZES:
        command = [sys.executable, __file__, "--measure", str(n_voxels)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        seconds, share = found["pass"], found["maps"] / found["pass"]
        print(
            f"{n_voxels:7d}  {seconds:7.3f}  {1e6 * seconds / n_voxels:20.2f}"
            f"  {share:11.1%}  {found['memory']:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
