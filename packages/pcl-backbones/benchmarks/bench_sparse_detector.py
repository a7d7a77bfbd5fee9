"""Seconds of each part of a training step and of an inference of `SparseDetector`, one thread.

A generated room of 5 m x 4 m x 2.5 m with eight boxes, of which 50 000 points are seen, on voxels
of 0.04 m with levels of 0.16 and 0.32 m, those of TR3D.

    python packages/pcl-backbones/benchmarks/bench_sparse_detector.py

prints the median and the interquartile range of five rounds after a warm-up, and the machine.
`targets` is the assignment of locations to boxes, which `losses` has in it.
"""

import argparse
import platform
import statistics
import time
from collections import defaultdict

import torch

from pcl_backbones import Res16UNet14A, Res16UNet34C, SparseTensor
from pcl_backbones.coordinates import pack, unpack
from pcl_backbones.detector_losses import detection_loss
from pcl_backbones.location_assignment import assign_locations
from pcl_backbones.sparse_detector import SparseDetector, box_candidates

N_POINTS, N_CLASSES, VOXEL_SIZE, STRIDES = 50_000, 18, 0.04, (4, 8)
NETWORKS = {
    "Res16UNet14A width 0.5": lambda: Res16UNet14A(3, None, width=0.5),
    "Res16UNet14A": lambda: Res16UNet14A(3, None),
    "Res16UNet34C": lambda: Res16UNet34C(3, None),
}


def room() -> tuple[torch.Tensor, torch.Tensor]:
    """Points on a floor, two walls and the faces of boxes, and the boxes, (8, 7)."""
    generator = torch.Generator().manual_seed(0)
    rand = torch.rand(8, 6, generator=generator)
    sizes = 0.4 + rand[:, 3:]
    centers = rand[:, :3] * torch.tensor([4.0, 3, 0]) + 0.5 * sizes
    corners = torch.cat([torch.zeros(3, 3), (centers - sizes / 2).repeat_interleave(6, 0)])
    extents = torch.cat([torch.tensor([[5.0, 4, 2.5]] * 3), sizes.repeat_interleave(6, 0)])
    normal = torch.cat([torch.arange(3), torch.arange(6).repeat(8) % 3])
    is_far = torch.cat([torch.zeros(3), torch.arange(6).repeat(8) // 3]).bool()
    areas = extents.scatter(1, normal[:, None], 1).prod(1)
    face = torch.multinomial(areas, N_POINTS, replacement=True, generator=generator)
    place = torch.rand(N_POINTS, 3, generator=generator)
    place.scatter_(1, normal[face][:, None], is_far[face][:, None].float())
    boxes = torch.cat([centers, sizes, torch.zeros(8, 1)], dim=1)
    return corners[face] + place * extents[face], boxes


class Clock:
    """Seconds between its marks."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def start(self) -> None:
        self.since = time.perf_counter()

    def mark(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name].append(now - self.since)
        self.since = now


def forward(detector: SparseDetector, points: torch.Tensor, clock: Clock):
    """Predictions, with marks after the voxels, the backbone and the head."""
    clock.start()
    coords = torch.nn.functional.pad((points / VOXEL_SIZE).floor().int(), (1, 0))
    keys, inverse = pack(coords).unique(return_inverse=True)
    lengths = torch.bincount(inverse)[:, None]
    features = torch.zeros(len(keys), 3).index_add(0, inverse, points % 1) / lengths
    x = SparseTensor(unpack(keys), features)
    clock.mark("voxels")
    levels = {level.stride: level for level in detector._backbone_levels(x)}
    clock.mark("backbone")
    out = detector._head(levels)
    clock.mark("head")
    return out


def train(detector: SparseDetector, points: torch.Tensor, boxes: torch.Tensor, clock: Clock):
    """A step but for the optimizer."""
    out = forward(detector.train(), points, clock)
    assign_locations(out.locations, out.cell_sizes, boxes)
    clock.mark("targets")
    loss = detection_loss(out, [boxes], [torch.arange(len(boxes))])
    clock.mark("losses")
    loss.total.backward()
    clock.mark("backward")
    return out


@torch.inference_mode()
def infer(detector: SparseDetector, points: torch.Tensor, clock: Clock) -> None:
    out = forward(detector.eval(), points, clock)
    box_candidates(out)
    clock.mark("candidates")


def report(name: str, clock: Clock) -> None:
    print(name)
    rounds = [values[1:] for values in clock.seconds.values()]
    whole = [sum(parts) for parts in zip(*rounds, strict=True)]
    for part, values in [*zip(clock.seconds, rounds, strict=True), ("whole", whole)]:
        low, median, high = statistics.quantiles(values, n=4)
        print(f"    {part:10s} {median:7.4f} s (IQR {low:.4f}-{high:.4f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    n_rounds = parser.parse_args().rounds + 1
    torch.set_num_threads(1)
    torch.manual_seed(0)
    points, boxes = room()
    print(f"torch {torch.__version__}, {platform.machine()}, 1 thread")
    for name, build in NETWORKS.items():
        detector = SparseDetector(build(), N_CLASSES, voxel_size=VOXEL_SIZE, strides=STRIDES)
        training, inference = Clock(), Clock()
        for _ in range(n_rounds):
            out = train(detector, points, boxes, training)
        for _ in range(n_rounds):
            infer(detector, points, inference)
        report(f"{name}: a training step, {len(out.locations)} locations", training)
        report(f"{name}: an inference", inference)


if __name__ == "__main__":
    main()
