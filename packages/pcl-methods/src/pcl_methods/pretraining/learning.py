"""A pre-training on one page, as Algorithm 1 of SSPL draws it for all methods here.

    scene -> two views -> backbone (and its slow copy, the teacher) -> a loss that matches them

Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds", NeurIPS 2022; what is
matched depends on the objective: points (`point_objective`), volumes (`volume_objective`) or whole
scenes (`scene_objective`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from lightning_fabric import Fabric
from torch import nn
from torch.optim import SGD, Optimizer

from pcl_methods.pretraining.monitoring import Monitor
from pcl_methods.pretraining.objective import Batch, Losses, Objective
from pcl_methods.pretraining.views import ViewBatches
from pcl_methods.segmentation.encoding import VoxelBackbone
from pcl_run.loop import LoopOptions, Schedule, fit
from pcl_run.run import Run


def exponential(step: int, n_steps: int) -> float:
    """The schedule of CSC: x 0.99 every 1000 steps."""
    return 0.99 ** (step // 1000)


def cosine(step: int, n_steps: int) -> float:
    """The schedule of SSPL: a cosine to a thousandth."""
    return 0.001 + 0.999 * (1 + math.cos(math.pi * step / n_steps)) / 2


def published_optimizer(module: nn.Module) -> Optimizer:
    """Of CSC."""
    return SGD(module.parameters(), lr=0.1, momentum=0.8, weight_decay=1e-4)


@dataclass(frozen=True)
class Training:
    """How a backbone learns; the defaults are those of CSC.

    Args:
        n_steps: of the optimizer.
        make_optimizer: module -> optimizer of its parameters.
        schedule: (step, n_steps) -> factor of the learning rate.
        seed: of everything random in a step.
        options: what changes no number.
    """

    n_steps: int = 60_000
    make_optimizer: Callable[[nn.Module], Optimizer] = published_optimizer
    schedule: Schedule = exponential
    seed: int = 0
    options: LoopOptions = LoopOptions()


def pretrain(
    run: Run,
    fabric: Fabric,
    objective: Objective,
    batches: ViewBatches,
    training: Training = Training(),
    *,
    monitor: Monitor | None = None,
    stage: str = "pretraining",
) -> VoxelBackbone:
    """Pre-train the backbone of an objective; a run that was interrupted goes on exactly.

    Args:
        run: the folder that takes metrics and checkpoints.
        fabric: a launched Fabric.
        objective: what is learned, such as `SceneContexts(backbone)`.
        batches: two views of each scene; those of this process.
        training: how it is learned.
        monitor: what is measured on the way, by the first process.
        stage: name of the training in the run.

    Returns:
        The backbone of the objective. After SSPL give it the batch norms of whole scenes
        (`fit_norms`).

    Raises:
        RunFailed: (a RuntimeError) if the loss is not finite.
        Interrupted: after SIGINT or SIGTERM, with a checkpoint written.
    """
    objective.to(fabric.device)

    def training_step(batch: Batch, step: int) -> Losses:
        # 1. The teacher, if there is one, follows what the student learned in the step before.
        if step > 0:
            objective.follow()
        # 2. Both views of every scene, which `batches` has made, pass the network and are compared.
        return objective(batch, step)

    # 3. Now and then: what do the features know so far?
    def watch(step: int) -> None:
        if monitor is not None and run.is_writer:
            monitor.watch(objective, step, is_last=step == training.n_steps)

    # 4. The optimizer takes its step; this for all steps, from where the run stands.
    fit(
        run,
        fabric,
        stage=stage,
        modules=nn.ModuleDict({"objective": objective}),
        optimizers={"objective": training.make_optimizer(objective)},
        batches=batches,
        training_step=training_step,
        n_steps=training.n_steps,
        schedule=training.schedule,
        seed=training.seed,
        options=training.options,
        between=watch,
    )
    watch(training.n_steps)
    # 5. The backbone alone leaves: heads, teacher and queue have done their work.
    return objective.backbone
