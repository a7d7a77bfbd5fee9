"""`data-cli prepare`: any data set to scene folders or shards."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer

from pcl_data.atomic_files import leftovers, remove_leftover
from pcl_data.dataset import Dataset
from pcl_data.datasets.dataset_yaml import FILE_NAME, write_dataset_yaml
from pcl_data.datasets.selection import has_pattern
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
    """Write the data set to `out` and say what was written.

    Raises:
        ValueError: if `out` is the folder that is read, or one of them holds the other.
    """
    _check_apart(root, out)
    dataset = open_dataset(root, kind, split, read_words(options))
    name = None if split is None or "," in split or has_pattern(split) else split
    if shards:
        summary = _write_shards(dataset, out, name, n_workers)
    else:
        source = " ".join([kind, *sorted(options)])
        summary = _write_folders(dataset, out, name, source, n_workers)
    if as_json:
        print_json(summary)
    else:
        typer.echo("{scenes} scenes, {bytes:,} bytes in {out}".format(**summary))


def _check_apart(root: Path, out: Path) -> None:
    inside, outside = root.resolve(), out.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise ValueError(
            f"out must lie apart from the data that are read, {root}, as it would become part of "
            f"them or they of it, got {out}"
        )


def _write_folders(
    dataset: Dataset, out: Path, split: str | None, source: str, n_workers: int
) -> dict[str, object]:
    with counting("scenes", len(dataset)) as done:
        manifest = prepare(
            dataset, out, split=split, source=source, n_workers=n_workers, report=done
        )
    sizes = [size for files in manifest.values() for size, _ in files.values()]
    return {"out": out, "scenes": len(manifest), "files": len(sizes), "bytes": sum(sizes)}


def _write_shards(
    dataset: Dataset, out: Path, split: str | None, n_workers: int
) -> dict[str, object]:
    """Shards in a folder that is new or empty but for what a killed process left."""
    if n_workers > 1:
        raise ValueError(
            f"workers must be 1 with --shards, which one process writes, got {n_workers}"
        )
    held = [path.name for path in out.iterdir() if path.name[0] != "."] if out.is_dir() else []
    if held:
        raise ValueError(
            f"out must be a new or empty folder with --shards, got {out}, which holds {min(held)}"
        )
    for _, path in leftovers(out) if out.is_dir() else ():
        remove_leftover(path)
    with counting("scenes", len(dataset)) as done:
        shards = write_shards(_reported(dataset, done), out)
    if dataset.label_set is not None:
        splits = {split: tuple(dataset.names)} if split else {}
        write_dataset_yaml(out / FILE_NAME, dataset.label_set, splits)
    n_bytes = sum(shard.stat().st_size for shard in shards)
    return {"out": out, "scenes": len(dataset), "files": len(shards), "bytes": n_bytes}


def _reported(dataset: Dataset, done: Callable[[str], None]) -> Iterator[Scene]:
    for index, name in enumerate(dataset.names):
        yield dataset[index]
        done(name)
