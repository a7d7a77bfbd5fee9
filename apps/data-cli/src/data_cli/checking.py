"""`data-cli validate` and `data-cli stats`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import typer

from pcl_data.opening import open_dataset, read_words
from pcl_data.preparation import MANIFEST_NAME, changed_files
from pcl_data.statistics import DatasetStatistics, count_dataset
from pcl_data.validation import Finding, validate
from pcl_run.cli import print_json


def validate_dataset(
    root: Path, kind: str, split: str | None, options: Sequence[str], *, as_json: bool
) -> None:
    """Print the findings; exit with 2 if there is an error among them."""
    dataset = open_dataset(root, kind, split, read_words(options))
    findings = list(validate(dataset))
    if (root / MANIFEST_NAME).is_file():
        message = "not the file of manifest.json; delete its folder and prepare again"
        findings += [Finding("error", file, "hash", message) for file in changed_files(root)]
    levels = Counter(finding.level for finding in findings)
    if as_json:
        print_json({"scenes": len(dataset), "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            where = f"{finding.scene}: " if finding.scene else ""
            typer.echo(f"{finding.level}: {finding.rule}: {where}{finding.message}")
        typer.echo(f"{len(dataset)} scenes, {levels['error']} errors, {levels['warning']} warnings")
    if levels["error"]:
        raise typer.Exit(2)


def print_statistics(
    root: Path, kind: str, split: str | None, options: Sequence[str], *, as_json: bool
) -> None:
    """Print the numbers of a data set."""
    dataset = open_dataset(root, kind, split, read_words(options))
    statistics = count_dataset((dataset[i] for i in range(len(dataset))), dataset.label_set)
    unread = Counter(column for name in dataset.names for column in dataset.unread_columns(name))
    if as_json:
        print_json(_summary(statistics) | {"unread_columns": dict(unread)})
        return
    sizes = sorted(scene.n_points for scene in statistics.scenes)
    extents = [" x ".join(f"{length:.1f}" for length in s.extent) for s in statistics.scenes]
    typer.echo(f"{len(sizes)} scenes, {statistics.n_points:,} points")
    typer.echo(f"points of a scene: {sizes[0]:,} to {sizes[-1]:,}, median {median(sizes):,.0f}")
    typer.echo(f"first scene: {statistics.scenes[0].name}, {extents[0]} m")
    if unread:
        columns = ", ".join(f"{column} (in {count})" for column, count in unread.most_common())
        typer.echo(f"columns that are not understood: {columns}")
    _print_classes(statistics)


def _print_classes(statistics: DatasetStatistics) -> None:
    """A row for each class, most points first; without labels, none."""
    if not statistics.class_points.any():
        return
    unlabeled = sum(scene.n_unlabeled for scene in statistics.scenes) / statistics.n_points
    typer.echo(f"{'class':<20}{'points':>14}{'share':>9}{'instances':>11}{'scenes':>8}")
    points, share = statistics.class_points, statistics.class_share
    instances, scenes = statistics.class_instances, statistics.class_scenes
    for label in (-points).argsort(kind="stable"):
        typer.echo(
            f"{statistics.names[label]:<20}{points[label]:>14,}{share[label]:>9.2%}"
            f"{instances[label]:>11,}{scenes[label]:>8,}"
        )
    typer.echo(f"unlabeled: {unlabeled:.2%} of all points")


def _summary(statistics: DatasetStatistics) -> dict[str, object]:
    columns = {
        "points": statistics.class_points,
        "instances": statistics.class_instances,
        "scenes": statistics.class_scenes,
    }
    return {
        "scenes": [
            {
                "name": scene.name,
                "points": scene.n_points,
                "extent_m": scene.extent,
                "points_per_voxel": scene.density,
                "unlabeled": scene.n_unlabeled,
                "frames": scene.n_frames,
                "boxes": scene.n_boxes,
            }
            for scene in statistics.scenes
        ],
        "points": statistics.n_points,
        "classes": {
            name: {column: int(values[label]) for column, values in columns.items()}
            for label, name in enumerate(statistics.names)
        },
    }
