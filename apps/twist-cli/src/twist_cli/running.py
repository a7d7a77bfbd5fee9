"""`twist-cli run`: settings, run folder, rounds, report."""

import time
from collections.abc import Mapping
from typing import Any

import typer

from pcl_backbones import save_weights
from pcl_data.splits import SceneSplit
from pcl_methods.data import open_split
from pcl_methods.self_training.batches import twist_batches
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.objective import twist_losses
from pcl_methods.self_training.quality import QUALITY, SCORES
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from twist_cli.building import model_card, self_training_of, start_model, training_of
from twist_cli.config import RunConfig

WEIGHTS = "model.safetensors"


def start_run(start: Start, config: RunConfig, *, dry_run: bool) -> dict[str, Any]:
    """Run self-training and return its summary.

    Raises:
        ValueError: if a setting, a scene or the run folder is not as it must be.
    """
    split = open_split(config.data)
    assert split.label_set is not None  # open_split has checked
    _check_labels(config, split)
    fabric = start.fabric(config.train.precision)
    model, init = start_model(config, split.label_set)
    if dry_run:
        return _dry_run(config, split, model)
    run = start.open_run("twist", config)
    if init is not None:
        run.log(str(init))
    rows = self_training_of(config, run, fabric, split, model).all_rounds()
    summary = _summarize(run, split, rows)
    card = jsonable(model_card(config, split, model, rows[-1]))
    if run.is_writer:
        save_weights(model, run.folder / WEIGHTS, card=card)
        write_report(run.folder)
    return summary | {"folder": str(run.folder)}


def _check_labels(config: RunConfig, split: SceneSplit) -> None:
    """As `SelfTraining` checks, before there is a run folder, and in the words of the settings."""
    kind, name = config.twist.pseudo_labels, split.budget.name
    if split.budget.annotations is not None and kind == "recorrected":
        raise ValueError(
            "twist.pseudo_labels must be another than recorrected where points are labeled and not "
            f"scenes, as the re-correction network learns from whole instances, got {name}"
        )
    if kind != "none" and config.twist.rounds and not split.unlabeled:
        raise ValueError(
            "data.budget must leave scenes without labels unless twist.rounds is 0 or "
            f"twist.pseudo_labels is none, got {name}"
        )


def _summarize(run: Run, split: SceneSplit, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row a round, the protocol, scenes, seconds and peak memory, as `summary.json`."""
    roles = ("labeled", "unlabeled", "validation")
    summary = {
        "rounds": [{key: row[key] for key in ("round", *SCORES, *QUALITY)} for row in rows],
        "protocol": rows[-1]["protocol"],
        "per_class": rows[-1]["per_class"],
        "scenes": {role: list(getattr(split, role)) for role in roles},
        "seconds": run.recall("seconds"),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    run.write_summary(summary)
    return summary


def _dry_run(config: RunConfig, split: SceneSplit, model: TwistModel) -> dict[str, Any]:
    """Two real steps of round 0, timed; nothing is written."""
    training = training_of(config.train)
    batches = twist_batches(model, split, training.batch, None, (config.seed, 0))
    seconds = []
    for step in range(2):
        start = time.monotonic()
        twist_losses(model, batches[step], None)["loss"].backward()
        seconds.append(time.monotonic() - start)
    n_labeled = training.batch.labeled_scenes
    scenes = n_labeled + training.batch.unlabeled_scenes
    per_scene = min(seconds) / n_labeled
    n_scenes = training.steps_of(0) * n_labeled + config.twist.rounds * training.steps * scenes
    return {
        "dry_run": True,
        "labeled": list(split.labeled),
        "unlabeled": list(split.unlabeled),
        "validation": list(split.validation),
        "seconds_per_step": per_scene * scenes,
        "training_minutes": per_scene * n_scenes / 60,
        "peak_memory_bytes": peak_memory_bytes(),
    }


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The table of rounds on stdout, or JSON."""
    if as_json or "rounds" not in summary:
        return print_json(summary)
    columns = ("round", *SCORES, *QUALITY)
    titles = ("round", "AP", "AP50", "AP25", "mIoU", "pseudo acc", "offset err (m)", "coverage")
    typer.echo("  ".join(f"{title:>10}" for title in titles))
    for row in summary["rounds"]:
        cells = ("-" if row[key] is None else _cell(row[key]) for key in columns)
        typer.echo("  ".join(f"{cell:>10}" for cell in cells))
    typer.echo(f"protocol {summary['protocol']}, {len(summary['scenes']['validation'])} scenes")
    memory = summary["peak_memory_bytes"] / 2**30
    typer.echo(f"{summary['seconds']:.0f} s, {memory:.1f} GiB at the most, in {summary['folder']}")
    return None


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
