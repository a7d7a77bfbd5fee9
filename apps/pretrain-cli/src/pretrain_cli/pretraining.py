"""`pretrain-cli run`: settings, run folder, loop, monitor, weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import typer
from torch import Tensor, nn

from pcl_backbones import save_weights
from pcl_methods.segmentation.weights import WEIGHTS
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.loop import Schedule, fit, interruptible
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from pcl_run.training import make_optimizer
from pretrain_cli.backbones import initial_backbone
from pretrain_cli.config import PRETRAIN_PRESETS, PretrainConfig
from pretrain_cli.encoding import finished_backbone
from pretrain_cli.frame_pairs import FramePairs, open_frame_pairs
from pretrain_cli.monitoring import Monitor
from pretrain_cli.objectives import Objective, build_objective
from pretrain_cli.views import ViewBatches
from pretrain_cli.worlds import World, open_world

SCHEDULES: dict[str, Schedule] = {
    "exponential": lambda step, n_steps: 0.99 ** (step // 1000),
    "cosine": lambda step, n_steps: 0.001 + 0.999 * (1 + math.cos(math.pi * step / n_steps)) / 2,
}


def pretrain(start: Start) -> dict[str, Any]:
    """Pre-train and return the summary.

    Raises:
        ValueError: if a setting, a scene or the run folder is not as it must be.
    """
    config = start.settings(PretrainConfig, PRETRAIN_PRESETS)
    world = open_world(config.data)
    pairs = open_pairs(config, world.training)
    if pairs is not None and not pairs.pairs:
        raise ValueError(
            f"contrast.pairs must hold pairs of the scenes, got none of {len(world.training)} in "
            f"{config.contrast.pairs}"
        )
    fabric = start.fabric()
    torch.manual_seed(config.seed)
    backbone, _ = initial_backbone(config.model, config.data.features, config.init)
    objective = build_objective(config, backbone)
    with interruptible():
        run = start.open_run("pretrain", config)
        batches = ViewBatches(
            config,
            world,
            world.training,
            pairs,
            rank=fabric.global_rank,
            n_ranks=fabric.world_size,
        )
        monitor = Monitor(run, config, world, held_out_views(config, world))
        with run.timed():
            learn(run, fabric, config, objective, batches, monitor)
        summary = summarize(run, config, pairs, world)
    if run.is_writer:
        backbone = finished_backbone(objective.backbone, config, world)
        save_weights(backbone, run.folder / WEIGHTS, card=jsonable(card_of(config, summary)))
        write_report(run.folder)
    return summary | {"folder": str(run.folder)}


def learn(
    run: Run,
    fabric: Any,
    config: PretrainConfig,
    objective: Objective,
    batches: ViewBatches,
    monitor: Monitor,
) -> None:
    """The steps of a run, watched by the monitor on the first process."""
    settings = config.train
    objective.to(fabric.device)

    def training_step(batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        if run.is_writer:
            monitor.watch(objective, step)
        return objective(batch, step)

    fit(
        run,
        fabric,
        stage=config.method,
        modules=nn.ModuleDict({"objective": objective}),
        optimizers={"objective": make_optimizer(objective, settings)},
        batches=batches,
        training_step=training_step,
        n_steps=settings.steps,
        schedule=SCHEDULES[settings.schedule],
        seed=config.seed,
        options=settings.loop_options(),
    )
    if run.is_writer:
        monitor.watch(objective, settings.steps)


def open_pairs(config: PretrainConfig, scenes: Sequence[str]) -> FramePairs | None:
    """The frame pairs of scenes, none of some, if the run learns from frames."""
    folder = config.contrast.pairs
    return None if folder is None else open_frame_pairs(folder, config.data, scenes)


def held_out_views(config: PretrainConfig, world: World) -> ViewBatches:
    """Views for the health panel: of held-out scenes, where there are any."""
    names = world.validation or world.training
    pairs = open_pairs(config, names)
    if pairs is not None and not pairs.pairs:  # the folder holds pairs of training scenes alone
        names = world.training
        pairs = open_pairs(config, names)
    return ViewBatches(config, world, names, pairs)


def summarize(
    run: Run, config: PretrainConfig, pairs: FramePairs | None, world: World
) -> dict[str, Any]:
    """What a run found, written to `summary.json`: a row for each panel of the monitor."""
    panels = run.recall("panels", {})
    summary = {
        "method": config.method,
        "panels": [{"step": int(step), **panel} for step, panel in panels.items()],
        "scenes": len(world.training),
        "pairs": None if pairs is None else len(pairs.pairs),
        "seconds": run.recall("seconds"),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    run.write_summary(summary)
    return summary


def card_of(config: PretrainConfig, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a weights file must say to be used and trusted elsewhere."""
    return {
        "kind": "backbone",
        "backbone": config.model.backbone,
        "width": config.model.width,
        "voxel_size": config.model.voxel_size,
        "features": config.data.features,
        "method": config.method,
        "config": config.model_dump(mode="json"),
        "panel": summary["panels"][-1] if summary["panels"] else {},
    }


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The panels of the monitor as a table on stdout."""
    if as_json:
        print_json(summary)
        return
    columns = list(summary["panels"][-1])
    typer.echo("".join(f"{column:>16}" for column in columns))
    for row in summary["panels"]:
        typer.echo("".join(f"{row[column]:>16.4g}" for column in columns))
    typer.echo(f"{summary['seconds']:.0f} s, weights in {summary['folder']}/{WEIGHTS}")
