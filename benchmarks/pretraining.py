"""What pre-training is worth with few labels: the tables and figures of papers 001 and 003.

    python benchmarks/pretraining.py scenes --out benchmarks/results/pretraining_scenes.md

| table | of the papers | rows x columns |
|---|---|---|
| scenes | 001, Tables 3 and 5 | scratch, PointContrast, CSC x share of labelled scenes |
| partitions | 001, Fig. 3 | number of scene contexts x number of sampled points |
| points | 001, Figs. 6 and 7 | who chooses the points, and the start x points a scene |
| lidar | 003, Table 2 | scratch, BYOL, DepthContrast, SSPL x share of labelled sweeps |
| global | 003, Tables 3 and 4 | scratch, Local (two losses), Cls, Hard, Rand, Our x 1 % of sweeps |

A run that is there already is not run again, so a table that was interrupted goes on, and tables
share their networks; a run that was made with other settings is an error. Further arguments are
settings of both commands, such as `data.n_scenes=60`; those after `--pretrain` and `--finetune` are
settings of one, but for those by which a row differs.
"""

import argparse
import json
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tables import cell, heading


@dataclass(frozen=True)
class Cell:
    """One fine-tuning: its place in the table, and how its backbone was pre-trained."""

    row: str
    column: str
    pretrain: tuple[str, ...] | None = None  # settings; none: from scratch
    finetune: tuple[str, ...] = ()
    strategy: str | None = None  # of the points to annotate, `column` of them

    @property
    def pretrained(self) -> str:
        """A name of the pre-training, the same for all cells that share it."""
        return "_".join(self.pretrain or ("scratch",)).replace("=", "-")

    @property
    def finetuned(self) -> str:
        """A name of the fine-tuning, the same for all cells that share it."""
        labels = self.finetune if self.strategy is None else (self.strategy, self.column)
        return "_".join([self.pretrained, *labels]).replace("=", "-")


LR = ("1%", "5%", "10%", "20%")
SWEEPS = ("1%", "2%", "5%", "10%")
POINTS = ("20", "50", "100", "200")
CHOSEN_BY_FEATURES = ("csc_reference", "active")  # of CSC
CSC = ("method=csc",)
SSPL = ("method=sspl",)
METHODS = {"scratch": None, "PointContrast": ("method=pointcontrast",), "CSC": CSC}
# What these tell apart are whole sweeps: more of them a step, as many in all as 500 steps of two.
SWEEPS_A_STEP = ("train.scenes=8", "train.steps=125")
LIDAR = {
    "scratch": None,
    "BYOL": ("method=byol", *SWEEPS_A_STEP),
    "DepthContrast": ("method=depthcontrast", *SWEEPS_A_STEP),
    "SSPL": SSPL,
}
GLOBAL = {
    "scratch": None,
    "Local": (*SSPL, "sspl.global_loss=none"),
    "Local, BYOL": (*SSPL, "sspl.global_loss=none", "sspl.local_loss=byol"),
    "Cls": (*SSPL, "sspl.global_loss=class"),
    "Hard": (*SSPL, "sspl.global_loss=hard"),
    "Rand": (*SSPL, "sspl.global_loss=random"),
    "Our": SSPL,
}
TABLES: dict[str, list[Cell]] = {
    "scenes": [
        Cell(row, share, settings, (f"budget={share}",))
        for row, settings in METHODS.items()
        for share in LR
    ],
    "partitions": [
        Cell(
            f"{partitions} partitions",
            points,
            (*CSC, f"contrast.n_partitions={partitions}", f"contrast.n_matches={points}"),
            ("budget=10%",),
        )
        for partitions in (1, 2, 4, 8)
        for points in ("256", "1024", "2048")
    ],
    "points": [
        Cell(f"{strategy}, {row}", points, settings, strategy=strategy)
        for strategy in ("random", "kmeans", *CHOSEN_BY_FEATURES)
        for row, settings in (("scratch", None), ("CSC", CSC))
        for points in POINTS
    ],
    "lidar": [
        Cell(row, share, settings, (f"budget={share}",))
        for row, settings in LIDAR.items()
        for share in SWEEPS
    ],
    "global": [Cell(row, "1%", settings, ("budget=1%",)) for row, settings in GLOBAL.items()],
}
PRESETS = {"lidar": "quick-lidar", "global": "quick-lidar"}


class Runs:
    """The runs of a table, made when they are asked for."""

    def __init__(self, options: argparse.Namespace, settings: list[str]) -> None:
        self.options, self.settings = options, settings
        self.preset = PRESETS.get(options.table, "quick")
        self.work = options.work / self.preset
        self.found: dict[Path, dict] = {}

    def score(self, cell: Cell, seed: int) -> dict:
        """The summary of a cell's fine-tuning."""
        arguments = [*cell.finetune, f"budget_seed={seed}"]
        if cell.strategy is not None:
            arguments.append(f"budget={self.points(cell, seed)['file']}")
        if cell.pretrain is not None:
            arguments.append(f"init={self.pretrained(cell.pretrain, cell.pretrained, seed)}")
        folder = self.work / f"finetune_{cell.finetuned}_seed{seed}"
        return self._run("finetune", folder, seed, [*arguments, *self.options.finetune])

    def pretrained(self, settings: tuple[str, ...], name: str, seed: int) -> Path:
        """The folder of a pre-training."""
        folder = self.work / f"pretrain_{name}_seed{seed}"
        self._run("run", folder, seed, [*self.options.pretrain, *settings])
        return folder

    def points(self, cell: Cell, seed: int) -> dict:
        """What `label` chose, and the share of objects that it hit."""
        folder = self.work / f"points_{cell.strategy}_{cell.column}_seed{seed}"
        arguments = ["--strategy", str(cell.strategy), "--points", cell.column, "--no-ply"]
        if cell.strategy in CHOSEN_BY_FEATURES:
            arguments += ["--init", str(self.pretrained(CSC, "method-csc", seed))]
        words = [*arguments, "--out", str(folder), "--seed", str(seed), *self.settings]
        record = folder / "choice.json"
        if not record.exists():
            found = json.loads(self._call("label", words))
            record.write_text(json.dumps({"words": words, **found}))
        choice = json.loads(record.read_text())
        if choice["words"] != words:
            raise SystemExit(f"{folder} was chosen with {choice['words']}, not {words}")
        return choice

    def _run(self, command: str, folder: Path, seed: int, settings: list[str]) -> dict:
        if folder not in self.found:
            words = ["--out", str(folder), "--seed", str(seed), *settings, *self.settings]
            if folder.exists():
                words.append("--resume")
            self.found[folder] = json.loads(self._call(command, words))
        return self.found[folder]

    def _call(self, command: str, words: list[str]) -> str:
        print(f"{command} {shlex.join(words)}", file=sys.stderr, flush=True)
        full = ["pretrain-cli", command, "--preset", self.preset, "--json", *words]
        done = subprocess.run(full, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


def by_seed(values: list[float]) -> str:
    """A cell that holds the score of each seed."""
    return ", ".join(cell([value]) for value in values)


def table(
    title: str,
    values: dict[tuple[str, str], list[float]],
    show: Callable[[list[float]], str] = cell,
) -> list[str]:
    """A table of rows and columns in the order in which they came."""
    rows = list(dict.fromkeys(row for row, _ in values))
    columns = list(dict.fromkeys(column for _, column in values))
    lines = heading(title, columns)
    for row in rows:
        cells = [show(values[row, column]) for column in columns]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--columns", nargs="+", help="only these; all by default")
    parser.add_argument("--rows", nargs="+", help="only these; all by default")
    parser.add_argument("--pretrain", nargs="+", default=[], help="settings of pre-training")
    parser.add_argument("--finetune", nargs="+", default=[], help="settings of fine-tuning")
    parser.add_argument("--work", type=Path, default=Path("runs/pretraining"))
    parser.add_argument("--out", type=Path, required=True)
    options, settings = parser.parse_known_args()
    runs = Runs(options, settings)
    cells = [
        cell
        for cell in TABLES[options.table]
        if (not options.columns or cell.column in options.columns)
        and (not options.rows or cell.row in options.rows)
    ]
    found = {
        (cell.row, cell.column): [runs.score(cell, seed) for seed in options.seeds]
        for cell in cells
    }
    first = next(iter(found.values()))[0]
    minutes = [summary["seconds"] / 60 for summaries in found.values() for summary in summaries]
    lines = [
        f"# Pre-training: {options.table}",
        "",
        f"    python {shlex.join(sys.argv)}",
        "",
        f"Seeds {options.seeds}, mean ± standard deviation, percent; protocol of the first cell "
        f"`{first['protocol']}`; {platform.machine()}, two cores, median "
        f"{statistics.median(minutes):.1f} minutes a fine-tuning.",
    ]
    for score, name in (("miou", "mIoU"), ("ap50", "AP50")):
        if score in first:
            values = {key: [one[score] for one in summaries] for key, summaries in found.items()}
            lines += table(name, values) + table(f"{name} by seed", values, by_seed)
    if options.table == "points":
        lines += table(
            "Objects of a scene that the points hit",
            {
                (str(cell.strategy), cell.column): [
                    runs.points(cell, seed)["object_coverage"] for seed in options.seeds
                ]
                for cell in cells
            },
        )
    options.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
