"""`twist-cli pseudo`: the pseudo-labels of a round, looked at or made in shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from pcl_data import LabelSet, Scene
from pcl_data.export import write_ply
from pcl_methods.data import open_split
from pcl_methods.kept_split import read_kept
from pcl_methods.outputs import check_outputs
from pcl_methods.segmentation.predicting import class_colors
from pcl_methods.self_training.labeling import label_scenes, open_store
from pcl_methods.self_training.measured_errors import hold_out, measure_errors
from pcl_methods.self_training.quality import scene_quality, shown_quality
from pcl_methods.shares import read_share
from pcl_pseudolabel import PseudoLabels, PseudoLabelStore
from pcl_run.checkpoint import load_checkpoint, newest_checkpoint
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from twist_cli.building import build_model, correction_of, labeling_of
from twist_cli.config import PRESETS, RunConfig


def run_config(run_folder: Path) -> RunConfig:
    """The settings of a run.

    Raises:
        ValueError: if the folder is no run.
    """
    file = run_folder / "config.yaml"
    if not file.is_file():
        raise ValueError(f"run_folder must hold config.yaml, got {run_folder}")
    return load_config(RunConfig, presets=PRESETS, preset=None, file=file, overrides=[])


def inspect_round(
    run_folder: Path, round_: int, ply: Path | None, *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """One row a scene: coverage, proposals, and accuracy and offset error where truth is known.

    Args:
        run_folder: of the run.
        round_: whose pseudo-labels.
        ply: folder of a PLY file of each scene; none: no files.
        overwrite: whether files there may be replaced; the data of the run never is.

    Raises:
        ValueError: if there are no such pseudo-labels, or a file is there.
    """
    config = run_config(run_folder)
    folder = run_folder / "pseudo" / f"round_{round_}"
    if not folder.is_dir():
        raise ValueError(f"round must have pseudo-labels in {run_folder}, got {round_}")
    store = PseudoLabelStore.open(folder)
    split = open_split(config.data, kept=read_kept(run_folder))
    if ply is not None:
        inputs = [run_folder, *([config.data.root] if config.data.root is not None else [])]
        files = (ply / f"{name}.ply" for name in store.names)
        check_outputs(files, overwrite=overwrite, inputs=inputs)
    rows = []
    for name in store.names:
        pseudo, scene = store.load(name), split.load(name)
        proposals = len(pseudo.proposals[pseudo.valid].unique())
        quality = shown_quality(scene_quality(pseudo, scene))
        rows.append({"scene": name, "proposals": proposals, **quality})
        if ply is not None:
            assert split.label_set is not None  # open_split has checked
            write_pseudo_labels(ply / f"{name}.ply", scene, pseudo, split.label_set)
    return rows


def write_pseudo_labels(
    file: Path, scene: Scene, pseudo: PseudoLabels, label_set: LabelSet
) -> None:
    """A PLY in the colours of the classes, grey where there is no label."""
    file.parent.mkdir(parents=True, exist_ok=True)
    labels = pseudo.labels.numpy()
    write_ply(
        file,
        scene.points,
        colors=class_colors(label_set, labels),
        labels=labels,
        instances=pseudo.proposals.numpy(),
        origin=scene.origin,
    )


def label_shard(run_folder: Path, round_: int, share: str, device: str) -> None:
    """Make share i of n of a round's pseudo-labels from the run's last checkpoint."""
    index, count = read_share(share)
    config = run_config(run_folder)
    split = open_split(config.data, kept=read_kept(run_folder))
    labeling = labeling_of(config)
    if labeling is None:
        raise ValueError(f"run_folder must be of a run with pseudo-labels, got {run_folder}")
    assert split.label_set is not None  # open_split has checked
    model = build_model(config, split.label_set)
    checkpoint = newest_checkpoint(run_folder, f"round_{round_ - 1}")
    meta = load_checkpoint(checkpoint, {"twist": model}) if checkpoint else {"final": False}
    if not meta["final"]:
        raise ValueError(f"round must follow a finished round of {run_folder}, got {round_}")
    model = model.to(choose_device(device))
    split, measured = hold_out(split, config.calibration.scenes)
    correction = correction_of(config.calibration)
    if correction:
        tables = measure_errors(model, split, measured, proposals=True)._asdict()
        errors = {name: table.compute().tolist() for name, table in tables.items()}
        labeling = labeling.corrected(errors, correction)
    store = open_store(run_folder, model, labeling, round_)
    label_scenes(store, model, split, labeling, index=index, count=count)


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
