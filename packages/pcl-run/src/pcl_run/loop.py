"""The one training loop.

Exact resume rests on two rules. `batches[step]` is a pure function of the step, and every step
starts from a seed of its own; so modules, optimisers and (stage, step) are the whole state.
"""

import signal
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from pcl_run.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from pcl_run.cli import RunFailed
from pcl_run.interrupts import Interrupted, StopRequest, interruptible
from pcl_run.progress import StageProgress
from pcl_run.run import Run
from pcl_run.seeding import derive_seed, seed_everything

__all__ = ["Interrupted", "derive_seed", "fit", "interruptible", "poly"]

TrainingStep = Callable[[Any, int], Mapping[str, Tensor]]
Schedule = Callable[[int, int], float]


def poly(power: float = 0.9) -> Schedule:
    r"""The schedule that multiplies the learning rate by :math:`(1 - step / n)^{power}`.

    Example:
        >>> poly(1.0)(5, 10)
        0.5
    """
    return lambda step, n_steps: (1 - step / n_steps) ** power


@dataclass(frozen=True)
class LoopOptions:
    """What changes the speed and the record of a training, but none of its numbers.

    Args:
        n_workers: processes that prepare batches.
        log_every: steps between two lines of metrics.
        checkpoint_every: steps between two checkpoints; there is one at the end as well.
    """

    n_workers: int = 0
    log_every: int = 20
    checkpoint_every: int = 200


def fit(
    run: Run,
    fabric: Fabric,
    *,
    stage: str,
    modules: nn.ModuleDict,
    optimizers: Mapping[str, Optimizer],
    batches: Dataset,
    training_step: TrainingStep,
    n_steps: int,
    schedule: Schedule,
    seed: int,
    options: LoopOptions = LoopOptions(),
) -> None:
    """Train one stage of a run, from where its newest checkpoint stands to its end.

    A stage that is finished is loaded and not trained again, so an app calls its stages in order,
    and after each call modules, optimisers and random state are what they would be had the run
    never been interrupted. With several processes the app gives each its own `batches`.

    Args:
        run: the folder that takes metrics and checkpoints.
        fabric: a launched Fabric; `modules` are moved to its device.
        stage: name, unique in the run.
        modules: every module that is trained or carries state.
        optimizers: over the parameters of `modules`; each steps once a step.
        batches: `batches[step]` depends on the step only; a tree of tensors.
        training_step: (batch on the device, step) -> `loss` and further scalars to log. It runs
            inside the module that Fabric wraps, hence under its precision and gradient averaging.
        n_steps: steps of the stage.
        schedule: (step, n_steps) -> factor of each learning rate.
        seed: torch, numpy and python are seeded with `derive_seed(seed, stage, step)` plus the
            rank before each step.
        options: workers, and how often to log and to write checkpoints.

    Raises:
        ValueError: if the stage's checkpoint was made for another `n_steps` or other modules.
        RunFailed: (a RuntimeError) if the loss is not finite.
        Interrupted: after SIGINT or SIGTERM, with a checkpoint written.
    """
    raw = list(optimizers.values())
    module, *wrapped = fabric.setup(_Step(modules, training_step), *raw)
    start = _restore(run, stage, modules, optimizers, n_steps)
    run.truncate_metrics(stage, start)
    loader = _loader(batches, range(start, n_steps), options.n_workers)

    def save(done: int) -> None:
        if fabric.is_global_zero:
            save_checkpoint(
                run.folder,
                stage=stage,
                stage_step=done,
                modules=dict(modules.items()),
                optimizers=optimizers,
                n_steps=n_steps,
            )

    with (
        interruptible() as stop,
        StageProgress(stage, start, n_steps, run.log) as progress,
        closing(_timed(loader, start)) as timed,  # ends the workers, also after an error
    ):
        module.train()
        for step, batch, waited in timed:
            done = step + 1
            seed_everything(derive_seed(seed, stage, step) + fabric.global_rank)
            rate = _set_rates(raw, schedule(step, n_steps))
            terms = module(fabric.to_device(batch), step)
            values = _finite(stage, step, terms)
            for optimizer in raw:
                optimizer.zero_grad()
            fabric.backward(terms["loss"])
            for optimizer in wrapped:
                optimizer.step()
            progress.step(done, waited)
            if done % options.log_every == 0 or done == n_steps:
                measured = progress.measure(done)
                run.metrics(stage, done, **values, lr=rate, **measured)
                progress.show(done, {**values, "lr": rate}, measured)
            stopped = done < n_steps and _any_rank(fabric, stop)
            if done % options.checkpoint_every == 0 or done == n_steps or stopped:
                save(done)
            if stopped:
                raise Interrupted(f"interrupted at {stage} step {done}; continue with --resume")
    _share_buffers(fabric, module)
    seed_everything(derive_seed(seed, stage, n_steps) + fabric.global_rank)
    fabric.barrier()


class _Step(nn.Module):
    """The training step as a module, so that wrapping it wraps every module it uses."""

    def __init__(self, modules: nn.ModuleDict, training_step: TrainingStep) -> None:
        super().__init__()
        self.parts = modules
        self.training_step = training_step

    def forward(self, batch: Any, step: int) -> dict[str, Tensor]:
        return dict(self.training_step(batch, step))


def _restore(
    run: Run,
    stage: str,
    modules: nn.ModuleDict,
    optimizers: Mapping[str, Optimizer],
    n_steps: int,
) -> int:
    """Load the stage's newest checkpoint where there is one; the steps that are done."""
    path = newest_checkpoint(run.folder, stage)
    if path is None:
        return 0
    meta = load_checkpoint(path, dict(modules.items()), optimizers)
    if meta["n_steps"] != n_steps:
        raise ValueError(f"n_steps must be {meta['n_steps']} as in {path}, got {n_steps}")
    run.log(f"{stage}: continues at step {meta['stage_step']} of {n_steps}")
    return meta["stage_step"]


def _loader(batches: Dataset, steps: range, n_workers: int) -> DataLoader:
    return DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=n_workers,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else each loader would draw from the global one
    )


def _start_worker(worker: int) -> None:
    """One thread each; the main process alone decides when to stop."""
    torch.set_num_threads(1)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)


def _timed(loader: DataLoader, start: int) -> Generator[tuple[int, Any, float], None, None]:
    """(step, batch, seconds it was waited for)."""
    iterator, step, asked = iter(loader), start, time.perf_counter()
    for batch in iterator:
        yield step, batch, time.perf_counter() - asked
        step, asked = step + 1, time.perf_counter()


def _set_rates(optimizers: list[Optimizer], factor: float) -> float:
    """Scale every group's first learning rate; the rate of the first group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * factor
    return optimizers[0].param_groups[0]["lr"]


def _finite(stage: str, step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
    values = {name: float(value.detach()) for name, value in terms.items()}
    if not torch.isfinite(terms["loss"]):
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise RunFailed(f"loss must be finite, got {shown} at {stage} step {step}")
    return values


def _share_buffers(fabric: Fabric, module: nn.Module) -> None:
    """Give every process the first one's buffers: batch norms count each process's own batches."""
    if fabric.world_size > 1:
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, 0)


def _any_rank(fabric: Fabric, stop: StopRequest) -> bool:
    """Whether any process was asked to stop: all stop at the same step."""
    if fabric.world_size == 1:
        return stop.requested
    flag = torch.tensor(float(stop.requested), device=fabric.device)
    total = fabric.all_reduce(flag, reduce_op="sum")
    assert isinstance(total, Tensor)  # as it was given
    return bool(total > 0)
