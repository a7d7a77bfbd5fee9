"""What pre-training is worth with few labels.

    python benchmarks/pretraining.py scenes data.n_scenes=60 --name my_scenes

| table | of the papers | rows x columns |
|---|---|---|
| scenes | CSC, Tables 3 and 5 | scratch, PointContrast, CSC x share of labeled scenes |
| partitions | CSC, Fig. 3 | number of scene contexts x number of sampled points |
| points | CSC, Figs. 6 and 7 | who chooses the points, and the start x points a scene |
| lidar | SSPL, Table 2 | scratch, BYOL, DepthContrast, SSPL x share of labeled sweeps |
| global | SSPL, Tables 3 and 4 | scratch, Local (two losses), Cls, Hard, Rand, Our x 1 % |

CSC is Hou et al., CVPR 2021; SSPL is Zhang et al., NeurIPS 2022. A run that has a record or a run
folder is not made again, so a table that was interrupted goes on, and tables share their networks.
Settings of all commands, such as `data.n_scenes=60`, follow the name of the table; those after
`--pretrain` and `--finetune` are settings of one, but for those by which a row differs.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from records import Table
from runs import App, Job, fill_table, parse


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
SWEEPS_A_STEP = ("train.batch_size=8", "train.steps=125")
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
        Cell(row, share, settings, (f"data.budget={share}",))
        for row, settings in METHODS.items()
        for share in LR
    ],
    "partitions": [
        Cell(
            f"{partitions} partitions",
            points,
            (*CSC, f"contrast.n_partitions={partitions}", f"contrast.n_matches={points}"),
            ("data.budget=10%",),
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
        Cell(row, share, settings, (f"data.budget={share}",))
        for row, settings in LIDAR.items()
        for share in SWEEPS
    ],
    "global": [Cell(row, "1%", settings, ("data.budget=1%",)) for row, settings in GLOBAL.items()],
}
PRESETS = {"lidar": "quick-lidar", "global": "quick-lidar"}


SCORES = ("miou", "macc", "ap", "ap50", "ap25")


class Runs:
    """The runs of a table, made when they are asked for."""

    def __init__(self, options: argparse.Namespace, settings: list[str]) -> None:
        self.options, self.settings = options, settings
        self.preset = PRESETS.get(options.table, "quick")
        self.work = (options.work or Path("runs/pretraining")) / self.preset
        self.app = App("pretrain-cli", ["--preset", self.preset])

    def jobs(self, cells: list[Cell]) -> Iterator[Job]:
        """One for each cell and seed."""
        for cell in cells:
            for seed in self.options.seeds:
                make = partial(self.score, cell, seed)
                yield Job(cell.row, cell.column, seed, self.settings_of(cell), make)

    def settings_of(self, cell: Cell) -> dict[str, list[str]]:
        """What a cell's record says of its commands."""
        shared = ["--preset", self.preset]
        found = {"finetune": [*shared, *self.finetune_settings(cell)]}
        if cell.pretrain is not None:
            found["run"] = [*shared, *self.pretrain_settings(cell.pretrain)]
        if cell.strategy is not None:
            found["label"] = [*shared, *self.label_words(cell), *self.settings]
        if cell.strategy in CHOSEN_BY_FEATURES:
            found["run"] = [*shared, *self.pretrain_settings(CSC)]
        return found

    def finetune_settings(self, cell: Cell) -> list[str]:
        return [*cell.finetune, *self.options.finetune, *self.settings]

    def pretrain_settings(self, method: tuple[str, ...]) -> list[str]:
        return [*self.options.pretrain, *method, *self.settings]

    def label_words(self, cell: Cell) -> list[str]:
        return ["--strategy", str(cell.strategy), "--points", cell.column, "--no-ply"]

    def score(self, cell: Cell, seed: int) -> tuple[Path, dict, dict]:
        """A cell's fine-tuning: its folder, its summary and its scores."""
        settings = [f"data.budget_seed={seed}", *self.finetune_settings(cell)]
        points = {} if cell.strategy is None else self.points(cell, seed)
        if points:
            settings.append(f"data.budget={points['file']}")
        if cell.pretrain is not None:
            settings.append(f"init={self.pretrained(cell.pretrain, cell.pretrained, seed)}")
        folder = self.work / f"finetune_{cell.finetuned}_seed{seed}"
        summary = self.app.run("finetune", folder, seed, settings)
        scores = {name: summary[name] for name in SCORES if name in summary}
        return folder, summary, scores | _coverage(points)

    def pretrained(self, method: tuple[str, ...], name: str, seed: int) -> Path:
        """The folder of a pre-training."""
        folder = self.work / f"pretrain_{name}_seed{seed}"
        self.app.run("run", folder, seed, self.pretrain_settings(method))
        return folder

    def points(self, cell: Cell, seed: int) -> dict:
        """What `label` chose, and the share of objects that it hit."""
        folder = self.work / f"points_{cell.strategy}_{cell.column}_seed{seed}"
        words = [*self.label_words(cell), "--out", str(folder), "--seed", str(seed), *self.settings]
        if cell.strategy in CHOSEN_BY_FEATURES:
            words += ["--init", str(self.pretrained(CSC, "method-csc", seed))]
        choice = folder / "choice.json"
        if not choice.exists():
            found = self.app.call("label", words)
            choice.write_text(json.dumps({"words": words, **found}))
        found = json.loads(choice.read_text())
        if found["words"] != words:
            raise SystemExit(f"{folder} was chosen with {found['words']}, not {words}")
        return found


def _coverage(points: dict) -> dict[str, float]:
    name = "object_coverage"
    return {name: points[name]} if points.get(name) is not None else {}


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """The cells of a table that were asked for."""
    return [
        cell
        for cell in TABLES[options.table]
        if (not options.columns or cell.column in options.columns)
        and (not options.rows or cell.row in options.rows)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--columns", nargs="+", help="only these; all by default")
    parser.add_argument("--rows", nargs="+", help="only these; all by default")
    parser.add_argument("--pretrain", nargs="+", default=[], help="settings of pre-training")
    parser.add_argument("--finetune", nargs="+", default=[], help="settings of fine-tuning")
    options, settings = parse(parser)
    every = TABLES[options.table]
    table = Table(
        title=f"Pre-training: {options.table}",
        rows=list(dict.fromkeys(cell.row for cell in every)),
        columns=list(dict.fromkeys(cell.column for cell in every)),
        about=[],
        remarks=[],
    )
    jobs = Runs(options, settings).jobs(cells_of(options))
    print(fill_table(options.name or f"pretraining_{options.table}", table, jobs, options.results))


if __name__ == "__main__":
    main()
