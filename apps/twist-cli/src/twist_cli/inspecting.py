"""`twist-cli pseudo`: the pseudo-labels of a round, looked at or made in shares."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from pcl_data.export import write_ply
from pcl_pseudolabel import PseudoLabelStore
from pcl_run.checkpoint import load_checkpoint, newest_checkpoint
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from twist_cli.config import PRESETS, RunConfig
from twist_cli.evaluation import scene_quality, shown_quality
from twist_cli.labelling import label_scenes, open_store
from twist_cli.scenes import open_split
from twist_cli.self_training import build_objective

UNLABELED_COLOR = 160


def run_config(run_folder: Path) -> RunConfig:
    """The settings of a run.

    Raises:
        ValueError: if the folder is no run.
    """
    file = run_folder / "config.yaml"
    if not file.is_file():
        raise ValueError(f"run_folder must hold config.yaml, got {run_folder}")
    return load_config(RunConfig, presets=PRESETS, preset=None, file=file, overrides=[])


def inspect_round(run_folder: Path, round_: int, ply: Path | None) -> list[dict[str, Any]]:
    """One row a scene: coverage, proposals, and accuracy and offset error where truth is known."""
    config = run_config(run_folder)
    folder = run_folder / "pseudo" / f"round_{round_}"
    if not folder.is_dir():
        raise ValueError(f"round must have pseudo-labels in {run_folder}, got {round_}")
    store, split = PseudoLabelStore.open(folder), open_split(config.data, config.seed)
    rows = []
    for name in store.names:
        record, scene = store.load(name), split.load(name)
        proposals = len(np.unique(record.proposals[record.proposals >= 0]))
        quality = shown_quality(scene_quality(record, scene))
        rows.append({"scene": name, "proposals": proposals, **quality})
        if ply is not None:
            ply.mkdir(parents=True, exist_ok=True)
            colors = np.full((len(record.labels), 3), UNLABELED_COLOR, np.uint8)
            labeled = record.labels >= 0
            palette = np.asarray(split.label_set.colors, np.uint8)
            colors[labeled] = palette[record.labels[labeled]]
            write_ply(
                ply / f"{name}.ply",
                scene.points,
                colors=colors,
                labels=record.labels.astype(np.int64),
                instances=record.proposals.astype(np.int64),
            )
    return rows


def label_shard(run_folder: Path, round_: int, share: str, device: str) -> None:
    """Make share i of n of a round's pseudo-labels from the run's last checkpoint."""
    match = re.fullmatch(r"(\d+)/(\d+)", share)
    if not match:
        raise ValueError(f"shard must have the form i/n such as 0/4, got {share}")
    config = run_config(run_folder)
    split = open_split(config.data, config.seed)
    objective = build_objective(config, split)
    checkpoint = newest_checkpoint(run_folder, f"round_{round_ - 1}")
    meta = load_checkpoint(checkpoint, {"twist": objective}) if checkpoint else {"final": False}
    if not meta["final"]:
        raise ValueError(f"round must follow a finished round of {run_folder}, got {round_}")
    where = choose_device(device)
    store = open_store(run_folder, config, objective, round_)
    label_scenes(store, objective.to(where), split, int(match[1]), int(match[2]), where)


def print_round(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """A table, or JSON."""
    if as_json:
        return print_json({"scenes": rows})
    width = max([len(row["scene"]) for row in rows], default=5)
    typer.echo(f"{'scene':<{width}}  proposals  coverage  accuracy  offset error (m)")
    for row in rows:
        values = [row[key] for key in ("coverage", "semantic_accuracy", "offset_error")]
        shown = ["-" if value is None else f"{value:.3f}" for value in values]
        typer.echo(
            f"{row['scene']:<{width}}  {row['proposals']:>9}  {shown[0]:>8}  {shown[1]:>8}  "
            f"{shown[2]:>16}"
        )
    return None
