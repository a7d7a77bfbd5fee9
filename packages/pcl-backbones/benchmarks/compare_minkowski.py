"""Whether Res16UNet34C computes what the same network of MinkowskiEngine does, and how fast.

    hatch run minkowski:build
    hatch run minkowski:compare

Weights are copied from one to the other. In training mode a rounding that turns a ReLU on or off
moves gradients by percents, of either library; hence the comparisons with float64 and without
ReLUs. Speed and memory are those of a process of its own for each engine and task, the engines in
turn, medians of all steps after the first.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from unittest.mock import patch

import torch
from bench_res16unet import peak_memory, room
from torch.nn.functional import softplus

from pcl_backbones import Res16UNet34C, SparseTensor

ENGINES = ("minkowski", "float32", "bfloat16")
TASKS = ("training", "inference")
VOXEL_SIZES = (0.045, 0.023)  # of a room of 5 m x 4 m x 2.5 m: 35 and 133 thousand voxels
STEPS = 3  # in each of ROUNDS processes
ROUNDS = 2


def inputs(voxel_size: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Voxels in random order and their features."""
    torch.manual_seed(0)
    coords = room(voxel_size)
    coords = coords[torch.randperm(len(coords))]
    return coords, torch.randn(len(coords), 3)


Values = dict[str, torch.Tensor]


def values(network, x, features: torch.Tensor, labels: torch.Tensor) -> Values:
    """The output and all gradients of a cross entropy."""
    out = network(x)
    out = out.features if isinstance(out, SparseTensor) else out.F
    torch.nn.functional.cross_entropy(out, labels).backward()
    assert features.grad is not None
    gradients = {name: p.grad for name, p in network.named_parameters()}
    return {"output": out.detach(), "input": features.grad, **gradients}


def both(dtype: torch.dtype, *, training: bool) -> tuple[Values, Values]:
    """Ours and MinkowskiEngine's."""
    import minkowski

    coords, features = inputs(0.1)
    labels = torch.randint(20, (len(coords),))
    ours = Res16UNet34C(3, 20).to(dtype).train(training)
    theirs = minkowski.MinkowskiRes16UNet(ours).to(dtype).train(training)
    mine, other = (features.to(dtype, copy=True).requires_grad_() for _ in range(2))
    return (
        values(ours, SparseTensor(coords, mine), mine, labels),
        values(theirs, minkowski.tensor(coords, other), other, labels),
    )


def difference(found: Values, wanted: Values) -> str:
    """Of the output, and the largest and the median of all gradients."""
    relative = {
        name: ((found[name].double() - value.double()).abs().max() / value.abs().max()).item()
        for name, value in wanted.items()
    }
    output, gradients = relative.pop("output"), relative.values()
    return f"{output:.1e}  {max(gradients):.1e}  {statistics.median(gradients):.1e}"


def Softplus(inplace: bool) -> torch.nn.Module:  # noqa: N802  # in the place of a class
    """MinkowskiEngine's."""
    import minkowski

    return minkowski.Me.MinkowskiSoftplus()


def compare() -> None:
    """Print differences relative to the largest value."""
    print("                                                 output  gradients: largest, median")
    exact, other = both(torch.float64, training=True)
    print(f"float64, training: ours and MinkowskiEngine's    {difference(exact, other)}")
    ours, theirs = both(torch.float32, training=False)
    print(f"float32, evaluation: ours and MinkowskiEngine's  {difference(ours, theirs)}")
    ours, theirs = both(torch.float32, training=True)
    print(f"float32, training: ours and MinkowskiEngine's    {difference(ours, theirs)}")
    print(f"                   ours and float64              {difference(ours, exact)}")
    print(f"                   MinkowskiEngine's and float64 {difference(theirs, exact)}")
    with (
        patch("torch.Tensor.relu_", lambda rows: softplus(rows)),
        patch("minkowski.Me.MinkowskiReLU", Softplus),
    ):
        ours, theirs = both(torch.float32, training=True)
    print(f"the same with softplus for every ReLU            {difference(ours, theirs)}")


def measure(engine: str, task: str, voxel_size: float) -> None:
    """Print seconds of each step, and the largest memory, as JSON."""
    coords, features = inputs(voxel_size)
    network = Res16UNet34C(3, 20)
    if engine == "minkowski":
        import minkowski

        network, make = minkowski.MinkowskiRes16UNet(network), minkowski.tensor
    else:
        make = SparseTensor
    network.train(task == "training")

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=engine == "bfloat16"):
            if task == "inference":
                with torch.inference_mode():
                    network(make(coords, features))
                return
            out = network(make(coords, features))
        rows = out.F if engine == "minkowski" else out.features
        rows.float().square().mean().backward()
        network.zero_grad()

    seconds = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    memory = peak_memory()
    print(json.dumps({"seconds": seconds[1:], "memory": memory, "n_voxels": len(coords)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs=3, metavar=("ENGINE", "TASK", "VOXEL_SIZE"))
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure[:2], float(options.measure[2]))
        return
    compare()
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads")
    print("task       voxels   engine     seconds  as fast as MinkowskiEngine  memory (GiB)")
    for task in TASKS:
        for voxel_size in VOXEL_SIZES:
            found: dict[str, list[dict]] = {engine: [] for engine in ENGINES}
            for _ in range(ROUNDS):
                for engine in ENGINES:
                    command = [sys.executable, __file__, "--measure", engine, task, str(voxel_size)]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    found[engine].append(json.loads(done.stdout.splitlines()[-1]))
            taken = {
                engine: statistics.median([s for run in runs for s in run["seconds"]])
                for engine, runs in found.items()
            }
            for engine, runs in found.items():
                print(
                    f"{task:10s} {runs[0]['n_voxels']:7d}  {engine:10s} {taken[engine]:7.2f}"
                    f"  {taken['minkowski'] / taken[engine]:26.1f}"
                    f"  {max(run['memory'] for run in runs):12.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
