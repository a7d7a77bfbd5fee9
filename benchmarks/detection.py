"""Detection with few labels: starts and detectors against each other.

    python benchmarks/detection.py data.n_scenes=70 --init 'runs/csc_{seed}'

The columns are shares of the labeled scenes, as in Table 4 of CSC (Hou et al., CVPR 2021) and
Table 1 of SSPL (Zhang et al., NeurIPS 2022), and boxes of every scene, as in Table 2 of CSC. A
`start` is the backbone of a run of `pretrain-cli run` of each seed, which `--init` names. All
rows train as many steps and are scored on the same held-out scenes. Settings of `pretrain-cli
finetune` come first.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from records import Table
from runs import App, Job, fill_table, parse

VOTES = ["detector.name=votenet"]
ROWS = {
    "sparse detector, scratch": [],
    "sparse detector, start": [],
    "VoteNet on voxels, scratch": VOTES,
    "VoteNet on voxels, start": VOTES,
    "VoteNet on points, scratch": [*VOTES, "model.backbone=pointnet2"],
}
COLUMNS = ["10%", "20%", "40%", "80%", "100%", "1boxes", "2boxes", "4boxes", "7boxes"]


class Runs:
    """The runs of the table, made when they are asked for."""

    def __init__(self, options: argparse.Namespace, settings: list[str]) -> None:
        self.options, self.settings = options, settings
        self.work, self.app = options.work or Path("runs/detection"), App("pretrain-cli")

    def jobs(self) -> Iterator[Job]:
        """One for each row, column and seed."""
        for row in self.options.rows:
            for column in self.options.columns:
                for seed in self.options.seeds:
                    words = ["task=detection", f"data.budget={column}", *ROWS[row], *self.settings]
                    if row.endswith("start"):
                        words.append(f"init={self.options.init.format(seed=seed)}")
                    make = partial(self.make, row, column, seed, words)
                    yield Job(row, column, seed, {"finetune": words}, make)

    def make(
        self, row: str, column: str, seed: int, words: list[str]
    ) -> tuple[Path, dict, dict[str, float]]:
        """A run: its folder, its summary and its scores."""
        name = f"{row}_{column}_seed{seed}".replace(",", "").replace("%", "pct").replace(" ", "_")
        found = self.app.run("finetune", self.work / name, seed, words)
        return self.work / name, found, {key: found[key] for key in ("map25", "map50")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=COLUMNS)
    parser.add_argument("--init", help="run folder of `pretrain-cli run`, with {seed} in its name")
    options, settings = parse(parser)
    if options.init is None and any(row.endswith("start") for row in options.rows):
        parser.error("--init must name a run for the rows with a start")
    table = Table(
        title="Detection with few labels",
        rows=list(ROWS),
        columns=COLUMNS,
        about=[
            "Papers: CSC Table 4 on ScanNet, from scratch and from CSC; TR3D (Rukhovich et al., "
            "ICIP 2023) on ScanNet: AP25 72.9 and AP50 59.3, VoteNet 62.9 and 39.9.",
        ],
        remarks=[],
    )
    name = options.name or "detection"
    print(fill_table(name, table, Runs(options, settings).jobs(), options.results))


if __name__ == "__main__":
    main()
