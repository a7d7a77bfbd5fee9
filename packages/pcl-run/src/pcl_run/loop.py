"""The one training loop.

Exact resume rests on two rules. `batches[step]` is a pure function of the step, and every step
starts from a seed of its own; so modules, optimisers and (stage, step) are the whole state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from pcl_run.checkpoint import load_checkpoint, newest_checkpoint
from pcl_run.feeding import Feed
from pcl_run.interrupts import Interrupted, StopRequest, interruptible
from pcl_run.keeping import Keeper
from pcl_run.peers import needed
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
    between: Callable[[int], None] = lambda done: None,
) -> None:
    """Train one stage of a run, from where its newest checkpoint stands to its end.

    A stage that is finished is loaded and not trained again, so an app calls its stages in order,
    and after each call modules, optimisers and random state are what they would be had the run
    never been interrupted. With several processes the app gives each its own `batches`.

    SIGINT and SIGTERM end it within a step: a step that has begun is finished, and what comes
    between steps is left at once.

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
        between: called before each step with the number of steps that are done, in every process:
            the place of whatever takes long, such as scores. It must change no module.

    Raises:
        ValueError: if the stage's checkpoint was made for another `n_steps` or other modules.
        RunFailed: (a RuntimeError) if the loss or a weight is not finite, or if a process that
            prepares batches was killed.
        Interrupted: after SIGINT or SIGTERM, with a checkpoint written.
    """
    raw = list(optimizers.values())
    module, *wrapped = fabric.setup(_Step(modules, training_step), *raw)
    start = _restore(run, stage, modules, optimizers, n_steps)
    run.truncate_metrics(stage, start)
    keeper = Keeper(run, fabric, stage, start, n_steps, modules, optimizers)
    with (
        needed(),
        interruptible() as stop,
        StageProgress(stage, start, n_steps, run.log) as progress,
        Feed(batches, range(start, n_steps), options.n_workers) as feed,
    ):
        module.train()
        for step in range(start, n_steps):
            done = step + 1
            with keeper.kept_if_interrupted(stop, step):
                between(step)
                batch, waited = feed.next()
            seed_everything(derive_seed(seed, stage, step) + fabric.global_rank)
            rate = _set_rates(raw, schedule(step, n_steps))
            with keeper.blaming_divergence(step):
                terms = module(fabric.to_device(batch), step)
            values = keeper.finite(step, terms)
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
            stopped = _any_rank(fabric, stop)
            if done % options.checkpoint_every == 0 or done == n_steps or stopped:
                keeper.save(done)
            if stopped:
                fabric.barrier()  # nobody leaves before the checkpoint is written
                raise keeper.interrupted(done)
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


def _set_rates(optimizers: list[Optimizer], factor: float) -> float:
    """Scale every group's first learning rate; the rate of the first group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * factor
    return optimizers[0].param_groups[0]["lr"]


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
