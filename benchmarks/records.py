"""The records of a table: a JSON file for each run, from which `make_tables.py` makes the table.

    results/records/TABLE/table.json               title, rows and columns in order, remarks
    results/records/TABLE/ROW__COLUMN__seed0.json  one run

A record usually holds the scores of one seed. Of tables made before there were records, a file
holds all seeds of a cell, with the mean and the deviation that were published; the score of each
seed is null where it was not kept.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
TABLE_FILE = "table.json"


@dataclass(frozen=True)
class Record:
    """What one run found, and how it can be repeated.

    Args:
        row: of the table.
        column: of the table; none where the columns are scores.
        seeds: of the run, or of the runs that this record sums up.
        scores: a score of each seed, as fractions and metres; none where they were not kept.
        settings: by command, without folders and seeds, which do not change what is measured.
        command: that made the table.
        commit: of the code at the start of the run; `-dirty` where it had changes.
        date: of that start.
        machine: `platform`, `cpu` and `cores`.
        protocol: name of the scores' protocol, if known.
        seconds: of each run, if known.
        mean: of scores that were rounded or not kept.
        sd: their standard deviation over the seeds.

    Raises:
        ValueError: if seeds and scores are not as many, or a score is not known at all.
    """

    row: str
    column: str | None
    seeds: list[int]
    scores: dict[str, list[float | None] | None]
    settings: dict[str, list[str]]
    command: str
    commit: str
    date: str
    machine: dict[str, Any]
    protocol: str | None = None
    seconds: list[float] | None = None
    mean: dict[str, float] | None = None
    sd: dict[str, float] | None = None

    def __post_init__(self) -> None:
        for name, values in self.scores.items():
            if values is not None and len(values) != len(self.seeds):
                raise ValueError(f"{name} must have a score of each seed {self.seeds}")
            if values is None and name not in (self.mean or {}):
                raise ValueError(f"{name} must have scores or a mean")

    @property
    def file_name(self) -> str:
        """Where it stands in the folder of its table."""
        seeds = "seed" + "-".join(str(seed) for seed in self.seeds)
        words = [self.row, *([] if self.column is None else [self.column]), seeds]
        return "__".join(_slug(word) for word in words) + ".json"


@dataclass(frozen=True)
class Table:
    """What a table is.

    Args:
        title: of its page.
        rows: in order; those that have no record are left out.
        columns: in order; empty where the columns are scores.
        about: paragraphs under the title.
        remarks: what a reader must know, under the table.
    """

    title: str
    rows: list[str]
    columns: list[str]
    about: list[str]
    remarks: list[str]


def write_record(record: Record, folder: Path) -> Path:
    """Write a record into the folder of its table, whole or not at all, and return its file."""
    path = folder / record.file_name
    _write(path, asdict(record))
    return path


def write_table(table: Table, folder: Path) -> None:
    """Write what a table is into its folder."""
    _write(folder / TABLE_FILE, asdict(table))


def read_records(folder: Path) -> list[Record]:
    """The records of a table; none where there is no such folder.

    Raises:
        ValueError: if a file is damaged, or two records hold the same run.
    """
    paths = sorted(path for path in folder.glob("*.json") if path.name != TABLE_FILE)
    records = [_read(path, Record) for path in paths]
    _check_distinct(records, folder)
    return records


def read_table(folder: Path) -> Table:
    """What the table of this folder is.

    Raises:
        ValueError: if its file is missing or damaged.
    """
    return _read(folder / TABLE_FILE, Table)


def find_record(
    records: Iterable[Record], row: str, column: str | None, seed: int
) -> Record | None:
    """The record of a run, if there is one."""
    for record in records:
        if (record.row, record.column) == (row, column) and seed in record.seeds:
            return record
    return None


def _read(path: Path, kind: type) -> Any:
    try:
        return kind(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole {kind.__name__.lower()}: {error}") from error


def _check_distinct(records: list[Record], folder: Path) -> None:
    seen = set()
    for record in records:
        for key in ((record.row, record.column, seed) for seed in record.seeds):
            if key in seen:
                raise ValueError(f"{folder} must have one record of {key}, got two")
            seen.add(key)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _slug(word: str) -> str:
    """A name that every file system takes.

    Example:
        >>> _slug("VI any class: 5%")
        'VI_any_class_5pct'
    """
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", word.replace("%", "pct")).strip("_")
