"""`twist-cli run`: settings, run folder, rounds, report."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from pcl_backbones import save_weights
from pcl_data.splits import SceneSplit
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.kept_split import check_split, keep_split, read_kept
from pcl_methods.segmentation.calibration import draw_calibration, load_table
from pcl_methods.segmentation.scoring import BY_FREQUENCY, frequency_lines, shown_number
from pcl_methods.self_training.predicted_labels import (
    FindClasses,
    open_labeler,
    with_predicted_labels,
    write_predicted_labels,
)
from pcl_methods.self_training.quality import QUALITY, SCORES
from pcl_methods.self_training.rounds import table_file
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from twist_cli.building import model_card, self_training_of, start_model
from twist_cli.config import RunConfig
from twist_cli.forecasting import forecast_run

WEIGHTS, PREDICTED = "model.safetensors", "predicted_labels"
DIAGRAM = "report/calibration.png"


def start_run(start: Start, config: RunConfig, *, dry_run: bool) -> dict[str, Any]:
    """Run self-training and return its summary.

    Raises:
        ValueError: if a setting, a scene or the run folder is not as it must be.
    """
    kept = read_kept(start.out) if start.resume and start.out is not None else None
    split = open_split(config.data, kept=kept)
    assert split.label_set is not None  # open_split has checked
    _check_labels(config, split)
    facts = check_split(split, needs_of(config), kept)
    fabric = start.fabric(config.train.precision)
    model, init = start_model(config, split.label_set)
    labeler = None if config.labels is None else open_labeler(config.labels, split, fabric.device)
    if dry_run:
        with TemporaryDirectory() as folder:
            if labeler is not None:
                _predict(labeler, split, Path(folder), config)
                split = with_predicted_labels(split, Path(folder))
            return forecast_run(config, fabric, split, model, facts)
    run = start.open_run("twist", config)
    keep_split(run, split, facts)
    if labeler is not None:
        if run.is_writer:
            _predict(labeler, split, run.folder / PREDICTED, config)
        fabric.barrier()
        split = with_predicted_labels(split, run.folder / PREDICTED)
    if init is not None:
        run.log(str(init))
    rows = self_training_of(config, run, fabric, split, model).all_rounds()
    summary = _summarize(run, split, rows)
    card = jsonable(model_card(config, split, model, rows[-1]))
    if run.is_writer:
        save_weights(model, run.folder / WEIGHTS, card=card)
        table = load_table(table_file(run.folder, len(rows) - 1), model.label_set.n_classes)
        draw_calibration(table, model.label_set, run.folder / DIAGRAM, each_class=False)
        write_report(run.folder)
    return jsonable(summary | {"folder": str(run.folder)})


def _predict(find: FindClasses, split: SceneSplit, folder: Path, config: RunConfig) -> None:
    """Write the labels that nobody annotated for the scenes to learn from."""
    twist = config.twist
    write_predicted_labels(
        split,
        find,
        folder,
        voxel_size=config.model.voxel_size,
        cluster_radius=twist.cluster_radius,
        min_points=twist.min_points,
    )


def needs_of(config: RunConfig) -> SceneNeeds:
    """What scenes must have: instances are learned and scored."""
    both = ("labels", "instances")
    learned = both if config.labels is None else ()
    size, features = config.model.voxel_size, config.data.features
    return SceneNeeds(size, features, learned=learned, scored=both)


def _check_labels(config: RunConfig, split: SceneSplit) -> None:
    """As `SelfTraining` checks, before there is a run folder, and in the words of the settings."""
    kind, name = config.twist.pseudo_labels, split.budget.name
    if split.budget.annotations is not None and kind == "recorrected":
        raise ValueError(
            "twist.pseudo_labels must be another than recorrected where points are labeled and not "
            f"scenes, as the re-correction network learns from whole instances, got {name}"
        )
    learns = kind != "none" or config.calibration.targets != "none"
    if learns and config.twist.rounds and not split.unlabeled:
        raise ValueError(
            "data.budget must leave scenes without labels unless twist.rounds is 0 or "
            f"twist.pseudo_labels and calibration.targets are none, got {name}"
        )
    if config.calibration.scenes >= len(split.labeled):
        raise ValueError(
            f"calibration.scenes must leave one of the {len(split.labeled)} labeled scenes to "
            f"learn from, got {config.calibration.scenes}"
        )
    if config.calibration.scenes and split.budget.annotations is not None:
        raise ValueError(
            "calibration.scenes must be 0 where points are labeled and not scenes, got "
            f"{config.calibration.scenes} with {name}"
        )


def _summarize(run: Run, split: SceneSplit, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row a round, the protocol, scenes, seconds and peak memory, as `summary.json`."""
    roles = ("labeled", "unlabeled", "validation")
    columns = ("round", *SCORES, *BY_FREQUENCY, *QUALITY)
    summary = {
        "rounds": [{key: row[key] for key in columns if key in row} for row in rows],
        "protocol": rows[-1]["protocol"],
        "per_class": rows[-1]["per_class"],
        "calibration": rows[-1]["calibration"],
        "scenes": {role: list(getattr(split, role)) for role in roles},
        "seconds": run.recall("seconds"),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    run.write_summary(summary)
    return summary


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The table of rounds on stdout, with the last one by frequency of classes, or JSON."""
    if as_json or "rounds" not in summary:
        return print_json(summary)
    columns = ("round", *SCORES, *QUALITY)
    titles = ("round", "AP", "AP50", "AP25", "mIoU", "ECE")
    titles += ("pseudo acc", "offset err (m)", "coverage")
    typer.echo("  ".join(f"{title:>10}" for title in titles))
    for row in summary["rounds"]:
        cells = (shown_number(row[key], "d" if key == "round" else ".3f") for key in columns)
        typer.echo("  ".join(f"{cell:>10}" for cell in cells))
    for line in frequency_lines(summary["rounds"][-1]):
        typer.echo(line)
    typer.echo(f"protocol {summary['protocol']}, {len(summary['scenes']['validation'])} scenes")
    memory = summary["peak_memory_bytes"] / 2**30
    typer.echo(f"{summary['seconds']:.0f} s, {memory:.1f} GiB at the most, in {summary['folder']}")
    return None
