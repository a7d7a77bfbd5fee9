"""`data-cli synth`: generated worlds as files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from data_cli.opening import chosen, read_options
from data_cli.progress import counting
from pcl_appkit.cli import print_json
from pcl_data.dataset import Dataset
from pcl_data.datasets import SyntheticRooms, SyntheticStreets
from pcl_data.datasets.synthetic_streets import write_nuscenes_layout, write_semantickitti_layout
from pcl_data.preparation import prepare
from pcl_data.scene_store import load_scene

WORLDS: dict[str, Callable[..., Any]] = {"rooms": SyntheticRooms, "streets": SyntheticStreets}
LAYOUTS: dict[str, Callable[..., Any]] = {
    "semantickitti": write_semantickitti_layout,
    "nuscenes": write_nuscenes_layout,
}


def synthesise(
    world: str,
    out: Path,
    options: Sequence[str],
    *,
    count: int,
    seed: int,
    layout: str,
    n_workers: int,
    as_json: bool,
) -> None:
    """Make `count` rooms or sequences and write them to `out`."""
    make = WORLDS[chosen("world", world, WORLDS)]
    layouts = ["scenes", *LAYOUTS] if world == "streets" else ["scenes"]
    chosen("layout", layout, layouts)
    dataset = make(count, seed=seed, **read_options(make, options))
    dataset.prepare(n_workers)
    if layout == "scenes":
        _check_same_world(dataset, out)
        with counting("scenes", len(dataset)) as done:
            prepare(dataset, out, n_workers=n_workers, report=done)
    else:
        LAYOUTS[layout](dataset, out)
    if as_json:
        print_json({"out": out, "scenes": len(dataset), "layout": layout})
    else:
        typer.echo(f"{len(dataset)} scenes in {out}")


def _check_same_world(dataset: Dataset, out: Path) -> None:
    """Return quietly unless `out` has the first scene that both have from another world.

    Raises:
        ValueError: if it has; names do not tell the seed.
    """
    for index, name in enumerate(dataset.names):
        folder = out / name.replace("/", "_")
        if folder.exists():
            there, made = load_scene(folder), dataset[index]
            same_frames = len(there.frames) == len(made.frames)
            if not (same_frames and np.array_equal(there.points, made.points)):
                raise ValueError(
                    f"out must hold scenes of this seed and these options, got {folder}"
                )
            return
