"""`data-cli synth`: generated worlds as files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from pcl_data.opening import chosen, read_options, read_words
from pcl_data.preparation import prepare
from pcl_run.cli import print_json
from pcl_run.counting import counting
from pcl_synth import (
    SyntheticRooms,
    SyntheticStreets,
    write_nuscenes_layout,
    write_semantickitti_layout,
)

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
    dataset = make(count, seed=seed, **read_options(make, read_words(options)))
    dataset.prepare(n_workers)
    if layout == "scenes":
        content = [word for word in options if not word.startswith("cache=")]
        source = " ".join([world, f"seed={seed}", *sorted(content)])
        with counting("scenes", len(dataset)) as done:
            prepare(dataset, out, source=source, n_workers=n_workers, report=done)
    else:
        LAYOUTS[layout](dataset, out)
    if as_json:
        print_json({"out": out, "scenes": len(dataset), "layout": layout})
    else:
        typer.echo(f"{len(dataset)} scenes in {out}")
