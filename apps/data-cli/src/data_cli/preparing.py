"""`data-cli prepare`: any data set to scene folders or shards."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer

from pcl_data.dataset import Dataset
from pcl_data.opening import open_dataset, read_words
from pcl_data.preparation import prepare
from pcl_data.scene import Scene
from pcl_data.shards import write_shards
from pcl_run.cli import print_json
from pcl_run.counting import counting


def prepare_dataset(
    root: Path,
    out: Path,
    kind: str,
    split: str | None,
    options: Sequence[str],
    *,
    n_workers: int,
    shards: bool,
    as_json: bool,
) -> None:
    """Write the data set to `out` and say what was written."""
    dataset = open_dataset(root, kind, split, read_words(options))
    if shards:
        summary = _write_shards(dataset, out, n_workers)
    else:
        name = None if split is None or "," in split else split
        source = " ".join([kind, *sorted(options)])
        summary = _write_folders(dataset, out, name, source, n_workers)
    if as_json:
        print_json(summary)
    else:
        typer.echo("{scenes} scenes, {bytes:,} bytes in {out}".format(**summary))


def _write_folders(
    dataset: Dataset, out: Path, split: str | None, source: str, n_workers: int
) -> dict[str, object]:
    with counting("scenes", len(dataset)) as done:
        manifest = prepare(
            dataset, out, split=split, source=source, n_workers=n_workers, report=done
        )
    sizes = [size for files in manifest.values() for size, _ in files.values()]
    return {"out": out, "scenes": len(manifest), "files": len(sizes), "bytes": sum(sizes)}


def _write_shards(dataset: Dataset, out: Path, n_workers: int) -> dict[str, object]:
    if n_workers > 1:
        raise ValueError(
            f"workers must be 1 with --shards, which one process writes, got {n_workers}"
        )
    with counting("scenes", len(dataset)) as done:
        shards = write_shards(_reported(dataset, done), out)
    n_bytes = sum(shard.stat().st_size for shard in shards)
    return {"out": out, "scenes": len(dataset), "files": len(shards), "bytes": n_bytes}


def _reported(dataset: Dataset, done: Callable[[str], None]) -> Iterator[Scene]:
    for index, name in enumerate(dataset.names):
        yield dataset[index]
        done(name)
