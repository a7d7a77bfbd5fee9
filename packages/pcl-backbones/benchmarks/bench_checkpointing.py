"""Peak memory and seconds of a training step with and without `checkpoint_activations`.

    python packages/pcl-backbones/benchmarks/bench_checkpointing.py

Res16UNet34C in float32 on rooms side by side; the second of two steps, each case in a process of
its own (Linux).
"""

import argparse
import platform
import subprocess
import sys

import torch
from bench_res16unet import peak_memory, step
from bench_scaling import rooms

from pcl_backbones import Res16UNet34C, checkpoint_activations

SIZES = (100_000, 500_000)


def measure(n_voxels: int, is_checkpointed: bool) -> None:
    """Print a row of the table."""
    torch.manual_seed(0)
    coords = rooms(n_voxels)
    features, network = torch.randn(len(coords), 3), Res16UNet34C(3, 20)
    if is_checkpointed:
        checkpoint_activations(network)
    step(network, coords, features)
    network.zero_grad()
    seconds = step(network, coords, features)
    memory = peak_memory()
    print(f"{n_voxels:7d}  {is_checkpointed!s:12}  {seconds:7.2f}  {memory:17.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs=2, metavar=("N_VOXELS", "0|1"))
    options = parser.parse_args()
    if options.measure:
        measure(int(options.measure[0]), options.measure[1] == "1")
        return
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    print(" voxels  checkpointed  seconds  peak memory (GiB)", flush=True)
    for n_voxels in SIZES:
        for case in "01":
            command = [sys.executable, __file__, "--measure", str(n_voxels), case]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
