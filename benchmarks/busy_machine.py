"""Two trainings on the same cores: how OpenMP threads should wait.

    python benchmarks/busy_machine.py train.initial_steps=150

Each setting trains alone and beside another training of the same kind, on a machine that does
nothing else. A score is the share of the steps a second that one training has alone with the
default of the OpenMP library (of GCC, which torch brings), in the same repeat; of two trainings
that of the slower one.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

from records import Table
from runs import Job, fill_table, parse

SETTINGS = {
    "library's default": "GOMP_SPINCOUNT=300000",  # what it takes where nothing is set
    "passive": "OMP_WAIT_POLICY=passive",
    "1,000 spins": "GOMP_SPINCOUNT=1000",
    "10,000 spins": "GOMP_SPINCOUNT=10000",
    "30,000 spins": "GOMP_SPINCOUNT=30000",
}
COLUMNS = {"alone": 1, "beside another": 2}
RUN = ["data.n_scenes=8", "data.n_validation=1", "data.budget=4scenes", "twist.rounds=0"]
RUN += ["train.log_every=10", "--seed", "0"]


class Repeat:
    """The runs of one repeat, all of the same seed: each does the same work."""

    def __init__(self, number: int, work: Path, settings: list[str]) -> None:
        self.number, self.work, self.settings = number, work, settings

    @cached_property
    def base(self) -> tuple[Path, dict, list[float]]:
        """One training alone with the default."""
        return self.train("library's default", 1)

    def make(self, row: str, n: int) -> tuple[Path, dict, dict[str, float]]:
        """Run, summary and scores of a cell of the table."""
        base = self.base
        is_base = row == "library's default" and n == 1
        run, summary, speeds = base if is_base else self.train(row, n)
        slower = min(speeds)
        return run, summary, {"relative_speed": slower / base[2][0], "steps_per_second": slower}

    def train(self, row: str, n: int) -> tuple[Path, dict, list[float]]:
        """So many trainings at once: the first run, its summary, and the speed of each."""
        name, _, value = SETTINGS[row].partition("=")
        others = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
        environment = {key: text for key, text in os.environ.items() if key not in others}
        environment[name] = value
        folders = [self.work / f"repeat{self.number}_{i}" for i in range(n)]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        commands = [
            ["twist-cli", "run", "--json", "--out", str(folder), *RUN, *self.settings]
            for folder in folders
        ]
        print(SETTINGS[row], shlex.join(commands[0]), f"x {n}", file=sys.stderr, flush=True)
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
            for command in commands
        ]
        said = [process.communicate()[0] for process in processes]
        if any(process.returncode for process in processes):
            raise SystemExit(1)  # the command has said why
        summary = json.loads(said[0])
        return folders[0], summary, [_speed(folder) for folder in folders]


def _speed(run: Path) -> float:
    """Median steps a second, without the first lines, when kernels are compiled."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    speeds = [row["steps_per_second"] for row in rows if "steps_per_second" in row]
    return statistics.median(speeds[2:])


def jobs(options: argparse.Namespace, settings: list[str]) -> Iterator[Job]:
    """Every cell of a repeat before those of the next: the machine changes over hours."""
    work = options.work or Path("runs") / "busy_machine"
    for number in options.seeds:
        repeat = Repeat(number, work, settings)
        for row in options.rows or SETTINGS:
            for column, n in COLUMNS.items():
                used = {"run": [*RUN, *settings], "environment": [SETTINGS[row]]}
                yield Job(row, column, number, used, partial(repeat.make, row, n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=SETTINGS, help="only these; all by default")
    options, settings = parse(parser)
    table = Table(
        title="Two trainings on the same cores",
        rows=list(SETTINGS),
        columns=list(COLUMNS),
        about=[" ".join(__doc__.split("\n\n")[2].split())],
        remarks=["Seeds are repeats: every run does the same work."],
    )
    name = options.name or "busy_machine"
    print(fill_table(name, table, jobs(options, settings), options.results))


if __name__ == "__main__":
    main()
