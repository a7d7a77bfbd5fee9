"""A tiny app for the tests: two stages with deterministic work between them, killable anywhere.

python tiny_app.py FOLDER [--resume] [--kill STAGE:STEP] [--term STAGE:STEP] [--workers N]
"""

import argparse
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from pcl_run.cli import boundary, make_fabric
from pcl_run.config import Config
from pcl_run.loop import LoopOptions, fit, poly
from pcl_run.run import Run

STEPS = 12


class Settings(Config):
    seed: int = 3


class Batches(torch.utils.data.Dataset):
    """`batches[step]` from the step alone."""

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 4, generator=generator)
        return {"x": x, "y": x.sum(dim=1, keepdim=True) + self.shift}


def build() -> nn.ModuleDict:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU())
    return nn.ModuleDict({"body": body, "head": nn.Linear(8, 1)})


def train(
    run,
    modules,
    *,
    fabric=None,
    stages=2,
    hook=lambda stage, step: None,
    n_steps=STEPS,
    between=lambda done: None,
    make_batches=Batches,
    **options,
):
    """Every stage in order; between them something that depends on the weights is remembered."""
    fabric, shift = fabric or make_fabric(), 0.0
    for number in range(stages):
        stage = f"round_{number}"

        def step_(batch, step, stage=stage):
            hook(stage, step)
            noisy = batch["x"] + 0.1 * torch.randn_like(batch["x"])
            error = modules["head"](modules["body"](noisy)) - batch["y"]
            return {"loss": error.square().mean(), "absolute": error.abs().mean()}

        fit(
            run,
            fabric,
            stage=stage,
            modules=modules,
            optimizers={
                "body": torch.optim.SGD(modules["body"].parameters(), lr=0.05, momentum=0.9),
                "head": torch.optim.Adam(modules["head"].parameters(), lr=0.01),
            },
            batches=make_batches(shift),
            training_step=step_,
            n_steps=n_steps,
            schedule=poly(0.9),
            seed=3,
            options=LoopOptions(**{"log_every": 2, "checkpoint_every": 5} | options),
            between=between,
        )
        if run.recall(stage) is None:
            loss = functional.mse_loss(modules["head"].weight, torch.ones(1, 8))
            run.metrics("evaluation", number, loss=loss.item())
            run.remember(stage, loss.item())
        shift = run.recall(stage)
        hook(stage, STEPS)


def main(arguments: list[str], stderr: Path) -> None:
    """FOLDER [--resume] [--kill STAGE:STEP] [--term STAGE:STEP] [--workers N]."""
    multiprocessing.set_start_method("fork", force=True)  # as in an app; not the test's own
    sys.stderr = stderr.open("a", buffering=1)
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill", default="")
    parser.add_argument("--term", default="")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args(arguments)

    def hook(stage: str, step: int) -> None:
        if f"{stage}:{step}" == options.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if f"{stage}:{step}" == options.term:
            os.kill(os.getpid(), signal.SIGTERM)

    with boundary():
        torch.set_num_threads(1)
        run = Run.open(options.folder, Settings(), resume=options.resume)
        train(run, build(), hook=hook, n_workers=options.workers)
