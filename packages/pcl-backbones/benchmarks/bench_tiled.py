"""Memory and time of tiled prediction against the number of voxels.

    python packages/pcl-backbones/benchmarks/bench_tiled.py

Scenes are rooms side by side (`bench_scaling.rooms`); their coordinates, features and results are
files that the process maps into memory, as for a scan larger than memory. Memory is the most that
the process held beyond them, looked up every 10 ms (Linux). Each scene has a process of its own.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import torch
from bench_scaling import rooms

from pcl_backbones import Res16UNet14A, predict_tiled

SIZES = (1_000_000, 4_000_000, 20_000_000)
CLASSES = 20
TILE, BLEND, CONTEXT = 384, 32, 32


def mapped(path: Path, n_rows: int, n_columns: int, dtype: torch.dtype) -> torch.Tensor:
    """A tensor in a new file."""
    size = n_rows * n_columns
    return torch.from_file(str(path), shared=True, size=size, dtype=dtype).view(n_rows, n_columns)


def make(folder: Path, n_voxels: int) -> None:
    """Write the scene."""
    torch.manual_seed(0)
    mapped(folder / "coords", n_voxels, 4, torch.int32).copy_(rooms(n_voxels))
    mapped(folder / "features", n_voxels, 3, torch.float32).normal_()


def measure(folder: Path, n_voxels: int) -> None:
    """Print seconds and memory as JSON."""
    coords = mapped(folder / "coords", n_voxels, 4, torch.int32)
    features = mapped(folder / "features", n_voxels, 3, torch.float32)
    out = mapped(folder / "out", n_voxels, CLASSES, torch.float32)
    torch.manual_seed(0)
    network = Res16UNet14A(3, CLASSES, width=0.5).eval()
    held, done = [], Event()
    watcher = Thread(target=watch, args=(held, done))
    watcher.start()
    start = time.perf_counter()
    predict_tiled(network, coords, features, tile=TILE, blend=BLEND, context=CONTEXT, out=out)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    assert bool(out.isfinite().all())
    print(json.dumps({"seconds": seconds, "memory": max(held)}))


def watch(held: list[float], done: Event) -> None:
    """Memory of this process that is in no file, GiB, until it is done."""
    while not done.wait(0.01):
        status = Path("/proc/self/status").read_text()
        held.append(int(status.split("RssAnon:")[1].split()[0]) / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", nargs=3, metavar=("make|measure", "FOLDER", "N_VOXELS"))
    options = parser.parse_args()
    if options.step:
        step, folder, n_voxels = options.step
        {"make": make, "measure": measure}[step](Path(folder), int(n_voxels))
        return
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    print(f"Res16UNet14A, width 0.5, tiles of {TILE}, blend {BLEND}, context {CONTEXT}")
    print("  voxels  seconds  microseconds a voxel  memory (GiB)")
    for n_voxels in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("make", "measure"):
                command = [sys.executable, __file__, "--step", step, folder, str(n_voxels)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{n_voxels:8d}  {found['seconds']:7.1f}  {1e6 * found['seconds'] / n_voxels:20.2f}"
            f"  {found['memory']:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
