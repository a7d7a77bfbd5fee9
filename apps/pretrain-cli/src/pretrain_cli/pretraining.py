"""`pretrain-cli run`: settings, run folder, pre-training, weights."""

from collections.abc import Mapping
from typing import Any

import torch
import typer
from lightning_fabric import Fabric

from pcl_backbones import save_weights
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.forecast import STEPS, measure_steps
from pcl_methods.kept_split import check_split, keep_split, read_kept
from pcl_methods.kinds import data_name
from pcl_methods.pretraining.frame_pairs import FramePairs
from pcl_methods.pretraining.learning import pretrain as learn
from pcl_methods.pretraining.objective import Objective
from pcl_methods.pretraining.views import ViewBatches
from pcl_methods.segmentation.scoring import shown_number
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from pretrain_cli.building import (
    build_batches,
    build_monitor,
    build_objective,
    build_training,
    finished,
    initial_backbone,
    open_pairs,
)
from pretrain_cli.config import PretrainConfig

WEIGHTS = "backbone.safetensors"


def pretrain(start: Start, config: PretrainConfig, *, dry_run: bool = False) -> dict[str, Any]:
    """Pre-train and return the summary; of a dry run, what it is going to take.

    Raises:
        ValueError: if a setting, a scene or the run folder is not as it must be.
    """
    kept = read_kept(start.out) if start.resume and start.out is not None else None
    split = open_split(config.data, scored=False, kept=kept)
    pairs = _pairs(config, split)
    needs = SceneNeeds(config.model.voxel_size, config.data.features)
    facts = check_split(split, needs, kept)
    if pairs is not None:
        check_split(_clouds_of(pairs), SceneNeeds(features=config.data.features))
    fabric = start.fabric(config.train.precision)
    torch.manual_seed(config.seed)
    backbone, init = initial_backbone(config)
    objective = build_objective(config, backbone)
    ranks = {"rank": fabric.global_rank, "n_ranks": fabric.world_size}
    batches = build_batches(config, split, split.training, pairs, **ranks)
    if dry_run:
        return _forecast(config, fabric, objective, batches, split)
    run = start.open_run("pretrain", config)
    keep_split(run, split, facts)
    if init is not None:
        run.log(str(init))
    monitor = build_monitor(run, config, split)
    with run.timed():
        training, stage = build_training(config), config.method
        learn(run, fabric, objective, batches, training, monitor=monitor, stage=stage)
    summary = summarize(run, config, pairs, split)
    if run.is_writer:
        card = jsonable(card_of(config, summary))
        finished_backbone = finished(backbone, config, split)
        save_weights(finished_backbone, run.folder / WEIGHTS, card=card)
        write_report(run.folder)
    return jsonable(summary | {"folder": str(run.folder)})


def _forecast(
    config: PretrainConfig,
    fabric: Fabric,
    objective: Objective,
    batches: ViewBatches,
    split: SceneSplit,
) -> dict[str, Any]:
    """Time, memory and disk that a run is going to take, from a few of its steps."""
    few = {"steps": STEPS, "log_every": 1, "checkpoint_every": STEPS}
    short = config.model_copy(update={"train": config.train.model_copy(update=few)})
    measured = measure_steps(
        lambda run: learn(run, fabric, objective, batches, build_training(short)), short
    )
    return measured.forecast(config.train.steps, split)


def _pairs(config: PretrainConfig, split: SceneSplit) -> FramePairs | None:
    """The frame pairs to learn from, if the run learns from frames."""
    pairs = open_pairs(config, split.training)
    if pairs is not None and not pairs.pairs:
        raise ValueError(
            f"contrast.pairs must hold pairs of the scenes, got none of {len(split.training)} in "
            f"{config.contrast.pairs}"
        )
    return pairs


def _clouds_of(pairs: FramePairs) -> SceneSplit:
    """The clouds of pairs, as scenes that are checked."""
    none = LabelBudget("none", ())
    return SceneSplit(str(pairs.folder), None, pairs.clouds, (), none, pairs.load_cloud)


def summarize(
    run: Run, config: PretrainConfig, pairs: FramePairs | None, split: SceneSplit
) -> dict[str, Any]:
    """What a run found, written to `summary.json`: a row for each panel of the monitor."""
    panels = run.recall("panels", {})
    summary = {
        "method": config.method,
        "panels": [{"step": int(step), **panel} for step, panel in panels.items()],
        "scenes": len(split.training),
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
        "data": data_name(config.data),
        "config": config.model_dump(mode="json"),
        "panel": summary["panels"][-1] if summary["panels"] else {},
    }


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The panels of the monitor as a table on stdout."""
    if as_json or "panels" not in summary:
        print_json(summary)
        return
    columns = list(summary["panels"][-1])
    typer.echo("".join(f"{column:>16}" for column in columns))
    for row in summary["panels"]:
        typer.echo("".join(f"{shown_number(row.get(column), '.4g'):>16}" for column in columns))
    typer.echo(f"{summary['seconds']:.0f} s, weights in {summary['folder']}/{WEIGHTS}")
