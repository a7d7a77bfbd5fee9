"""The runs of a table: each is made once, resumed where it was interrupted, and recorded."""

import json
import math
import shlex
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from make_tables import make_table
from records import RESULTS, Record, Table, find_record, read_records, write_record, write_table


class App:
    """A command-line app whose runs are made when they are asked for.

    Args:
        name: of its command.
        options: of every call.
    """

    def __init__(self, name: str, options: Sequence[str] = ()) -> None:
        self.name, self.options = name, options
        self.found: dict[Path, dict] = {}

    def run(self, command: str, folder: Path, seed: int, settings: Sequence[str]) -> dict:
        """The summary of a run. A run that is finished only prints it; other settings fail."""
        if folder not in self.found:
            words = ["--out", str(folder), "--seed", str(seed), *settings]
            if folder.exists():
                words.append("--resume")
            self.found[folder] = self.call(command, words)
        return self.found[folder]

    def call(self, command: str, words: Sequence[str]) -> dict:
        """What a command prints as JSON."""
        full = [self.name, command, *self.options, "--json", *words]
        print(shlex.join(full), file=sys.stderr, flush=True)
        done = subprocess.run(full, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(done.returncode)  # the command has said why
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Job:
    """One run of a table that may have a record already.

    Args:
        row: of the table.
        column: of the table; none where the columns are scores.
        seed: of the run.
        settings: by command, as a record has them.
        make: makes the run; returns its folder, its summary and its scores.
    """

    row: str
    column: str | None
    seed: int
    settings: dict[str, list[str]]
    make: Callable[[], tuple[Path, dict, Mapping[str, float | None]]]


def parse(parser: ArgumentParser, argv: Sequence[str] | None = None) -> tuple[Namespace, list[str]]:
    """The options of a script, among them those that all scripts have, and the settings."""
    parser.add_argument("--name", help="of the table in `results`; by default the published one")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--work", type=Path, help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    return parser.parse_known_args(argv)


def fill_table(name: str, table: Table, jobs: Iterable[Job], results: Path) -> Path:
    """Make the runs that have no record, write theirs, and make the table again.

    Raises:
        SystemExit: if a record is damaged or of other settings, before anything is run.
    """
    folder = results / "records" / name
    try:
        records = read_records(folder)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    missing = [job for job in jobs if not _is_recorded(job, records, folder)]
    if not (folder / "table.json").exists():
        write_table(table, folder)
    for job in missing:
        write_record(_record(job, *job.make()), folder)
    return make_table(name, results)


def _is_recorded(job: Job, records: list[Record], folder: Path) -> bool:
    record = find_record(records, job.row, job.column, job.seed)
    if record is not None and record.settings != job.settings:
        raise SystemExit(
            f"error: {folder / record.file_name} must have been made with {job.settings}, got "
            f"{record.settings}: give another --name, or delete it"
        )
    return record is not None


def _record(job: Job, run: Path, summary: dict, scores: Mapping[str, float | None]) -> Record:
    """The record of a run; its commit and machine are those that it was first started on."""
    last = json.loads((run / "env.json").read_text(encoding="utf-8"))
    env = [*last.get("earlier", []), last][0]
    return Record(
        row=job.row,
        column=job.column,
        seeds=[job.seed],
        scores={name: [_known(value)] for name, value in scores.items()},
        settings=job.settings,
        command="python " + shlex.join([f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        commit=_commit(env["git"]),
        date=env["started"][:10],
        machine={key: env[key] for key in ("platform", "cpu", "cores")},
        protocol=summary["protocol"],
        seconds=[round(summary["seconds"], 1)],
    )


def _commit(git: dict[str, Any] | None) -> str:
    if git is None:
        return "unknown"
    return git["commit"] + ("-dirty" if git["changed"] else "")


def _known(value: float | None) -> float | None:
    """A score with six digits; none where it is not defined."""
    return None if value is None or math.isnan(value) else round(value, 6)
