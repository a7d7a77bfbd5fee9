"""scene_context_loss, forward and backward, against the obvious way, in time and memory.

The obvious way holds the matrix of all logits and, for each partition, a copy in which the points
of the others are -1e9, and adds up cross entropies. Both are given the same partition function,
whose time counts on either side. 32 channels, temperature 0.4, points in a room of 5 x 5 x 3 m:

    OMP_NUM_THREADS=1 python packages/pcl-contrastive/benchmarks/bench_scene_context.py [cuda]

Time is the median of several runs that take turns. Memory is the peak above what was held before:
on the CPU of a process for each measurement (Linux), on a GPU of its allocator.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from pcl_contrastive.scene_context import scene_context_loss, scene_context_partition

SIZES, PARTITIONS, RUNS = (1024, 4096), (4, 8), 5


def obvious(
    queries: Tensor, keys: Tensor, points: Tensor, *, n_partitions: int, temperature: float = 0.4
) -> Tensor:
    queries, keys = functional.normalize(queries), functional.normalize(keys)
    logits = queries @ keys.T / temperature
    partition = scene_context_partition(points, n_partitions=n_partitions)
    target = torch.arange(len(logits), device=logits.device)
    loss = logits.new_zeros(())
    for index in range(n_partitions):
        is_left_out = partition != index
        is_left_out.fill_diagonal_(False)
        loss = loss + functional.cross_entropy(logits.masked_fill(is_left_out, -1e9), target)
    return loss / n_partitions


WAYS = {"obvious": obvious, "ours": scene_context_loss}


def inputs(n: int, device: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(n, 32, generator=generator) for _ in range(2)]
    points = torch.rand(n, 3, generator=generator) * torch.tensor([5.0, 5.0, 3.0])
    tensors = [tensor.to(device) for tensor in (*features, points)]
    return [tensor.requires_grad_(tensor.shape[1] == 32) for tensor in tensors]


def step(way: str, tensors: list[Tensor], n_partitions: int) -> float:
    """Seconds of one forward and backward pass."""
    device = tensors[0].device.type
    start = time.perf_counter()
    WAYS[way](*tensors, n_partitions=n_partitions).backward()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(way: str, n: int, n_partitions: int, device: str) -> float:
    """MiB above what was held before, once everything is loaded and warm."""
    step(way, inputs(8, device), n_partitions)
    tensors = inputs(n, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(way, tensors, n_partitions)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory("VmRSS")
    step(way, tensors, n_partitions)
    return memory("VmHWM") - before


def memory(name: str) -> float:
    """MiB of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 2**10


def peak_alone(way: str, n: int, n_partitions: int, device: str) -> float:
    """`peak` in a process of its own."""
    command = [sys.executable, __file__, "--peak", way, str(n), str(n_partitions), device]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return float(done.stdout)


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        way, n, n_partitions, device = sys.argv[2:]
        print(peak(way, int(n), int(n_partitions), device))
        return
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    print(f"torch {torch.__version__}, {name}, {torch.get_num_threads()} threads")
    print(
        "   n  partitions      seconds (obvious, ours, ratio)          MiB (obvious, ours, ratio)"
    )
    for n in SIZES:
        for n_partitions in PARTITIONS:
            tensors = inputs(n, device)
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(RUNS + 1):  # the first warms up
                for way, taken in seconds.items():
                    taken.append(step(way, tensors, n_partitions))
            a, b = (statistics.median(taken[1:]) for taken in seconds.values())
            c, d = (peak_alone(way, n, n_partitions, device) for way in WAYS)
            print(
                f"{n:5d} {n_partitions:10d}  {a:12.4f} {b:10.4f} {a / b:8.1f}"
                f"  {c:14.1f} {d:10.1f} {c / d:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
