"""The expected calibration error of points that arrive in batches, beside torchmetrics and netcal.

20 classes, softmax rows of which most are confident, as a segmenter gives for points; the same
batches for all. Each library runs in a process of its own, so that its peak of memory is its own.
Told are the value, the wall and processor seconds of updating and computing, and how far the peak
of memory rose above the inputs:

    pip install "pcl-calibration[bench]"
    python packages/pcl-calibration/benchmarks/bench_calibration.py [--points 50000000]

torchmetrics keeps the confidence and correctness of every point. netcal has no updates: it is given
what it needs least of, confidences and correctness of all points, collected here. torchmetrics puts
a confidence of exactly one into a bin of its own; the rows have none. It sums in single precision,
which rounds where points are many: values are compared at few of them first.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

N_CLASSES, N_BINS, N_BATCHES = 20, 15, 4  # batches are distinct, and repeated
LIBRARIES = ("pcl-calibration", "torchmetrics", "torchmetrics, unchecked", "netcal")


def batches(n_points: int, batch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(N_BATCHES):
        logits = torch.randn(batch, N_CLASSES, generator=generator).mul_(2)
        labels = torch.randint(0, N_CLASSES, (batch,), generator=generator)
        logits[torch.arange(batch), labels] += 5
        logits.sub_(logits.amax(dim=1, keepdim=True)).exp_()
        logits.div_(logits.sum(dim=1, keepdim=True))
        assert logits.max() < 1
        made.append((logits, labels))
    return [made[i % N_BATCHES] for i in range(n_points // batch)]


def of_pcl() -> tuple[Callable, Callable]:
    from pcl_calibration.calibration_error import expected_calibration_error
    from pcl_calibration.calibration_table import ClassCalibrationError

    table = ClassCalibrationError(N_CLASSES)
    return table.update, lambda: expected_calibration_error(table, N_BINS)


def of_torchmetrics(validate_args: bool) -> tuple[Callable, Callable]:
    from torchmetrics.classification import MulticlassCalibrationError

    metric = MulticlassCalibrationError(N_CLASSES, n_bins=N_BINS, validate_args=validate_args)
    return metric.update, lambda: float(metric.compute())


def of_netcal() -> tuple[Callable, Callable]:
    from netcal.metrics import ECE

    kept: list[tuple[torch.Tensor, torch.Tensor]] = []

    def update(probabilities: torch.Tensor, labels: torch.Tensor) -> None:
        confidence, predicted = probabilities.max(dim=1)
        kept.append((confidence, predicted == labels))

    def compute() -> float:
        confidence, correct = (torch.cat(values).numpy() for values in zip(*kept, strict=True))
        return float(ECE(N_BINS).measure(confidence, correct.astype("int8")))

    return update, compute


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else 1024 * peak


def resident_bytes() -> int:
    """Memory held now, on Linux; the peak so far elsewhere."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return peak_bytes()
    return int(statm.read_text().split()[1]) * resource.getpagesize()


def run(library: str, n_points: int, batch: int) -> dict[str, float]:
    torch.set_num_threads(1)
    update, compute = {
        LIBRARIES[0]: of_pcl,
        LIBRARIES[1]: lambda: of_torchmetrics(True),
        LIBRARIES[2]: lambda: of_torchmetrics(False),
        LIBRARIES[3]: of_netcal,
    }[library]()
    given = batches(n_points, batch)
    before, wall, processor = resident_bytes(), time.perf_counter(), time.process_time()
    for probabilities, labels in given:
        update(probabilities, labels)
    value = compute()
    return {
        "value": value,
        "wall": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
        "bytes": peak_bytes() - before,
    }


def difference(n_points: int = 100_000) -> float:
    """The largest difference of the values where single precision hardly rounds their sums."""
    ((probabilities, labels),) = batches(n_points, n_points)
    values = []
    for update, compute in (of_pcl(), of_torchmetrics(True), of_netcal()):
        update(probabilities, labels)
        values.append(compute())
    return max(values) - min(values)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=50_000_000)
    parser.add_argument("--batch", type=int, default=500_000)
    parser.add_argument("--library", choices=LIBRARIES)
    options = parser.parse_args()
    if options.library:
        print(json.dumps(run(options.library, options.points, options.batch)))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchmetrics", "netcal"))
    print(f"{options.points:,} points, {N_CLASSES} classes, {N_BINS} bins, 1 thread; {versions}")
    print(f"{'':24} {'ECE':>12} {'wall s':>8} {'cpu s':>8} {'memory MB':>10}")
    print(f"largest difference at 100,000 points: {difference():.1e}")
    sizes = ["--points", str(options.points), "--batch", str(options.batch)]
    for library in LIBRARIES:
        command = [sys.executable, __file__, "--library", library, *sizes]
        found = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
        seconds = f"{found['wall']:8.1f} {found['processor']:8.1f}"
        print(f"{library:24} {found['value']:12.9f} {seconds} {found['bytes'] / 1e6:10.1f}")


if __name__ == "__main__":
    main()
