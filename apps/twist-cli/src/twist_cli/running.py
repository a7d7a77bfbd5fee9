"""`twist-cli run`: settings, run folder, rounds, report."""

import time
from collections.abc import Mapping
from typing import Any

import typer

from pcl_run.cli import print_json
from pcl_run.loop import interruptible
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.start import Start
from twist_cli.config import PRESETS, RunConfig
from twist_cli.samples import step_batches
from twist_cli.scenes import open_split
from twist_cli.self_training import QUALITY, SCORES, SelfTraining, build_objective


def start_run(start: Start, *, dry_run: bool) -> dict[str, Any]:
    """Run self-training and return its summary.

    Raises:
        ValueError: if a setting, a scene or the run folder is not as it must be.
    """
    config = start.settings(RunConfig, PRESETS)
    split = open_split(config.data, config.seed)
    fabric = start.fabric()
    objective = build_objective(config, split)
    if dry_run:
        return _dry_run(config, split, objective)
    with interruptible():
        run = start.open_run("twist", config)
        training = SelfTraining(run, fabric, config, split, objective)
        summary = training.all_rounds()
    if run.is_writer:
        write_report(run.folder)
    return summary | {"folder": str(run.folder)}


def _dry_run(config: RunConfig, split, objective) -> dict[str, Any]:
    """Two real steps of round 0, timed; nothing is written."""
    batches = step_batches(config, split, 0, None)
    seconds = []
    for step in range(2):
        start = time.monotonic()
        objective(batches[step], train_recorrector=False)["loss"].backward()
        seconds.append(time.monotonic() - start)
    scenes = config.train.labeled_scenes + config.train.unlabeled_scenes
    per_scene = min(seconds) / config.train.labeled_scenes
    rounds = config.twist.rounds
    n_scenes = config.train.steps_of(0) * config.train.labeled_scenes
    n_scenes += rounds * config.train.steps * scenes
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


def print_scores(scores: Mapping[str, Any], *, as_json: bool) -> None:
    """One line a score, or JSON."""
    if as_json:
        return print_json(scores)
    for name in (*SCORES, "macc"):
        typer.echo(f"{name:<6}{scores[name]:.3f}")
    typer.echo(f"protocol {scores['protocol']}")
    return None
