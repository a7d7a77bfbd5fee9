"""Label-free segmentation: what each level of correlation adds, and its peers.

    python benchmarks/labelfree.py data.n_scenes=60 data.n_validation=15 train.steps=1200

The rows I to V are those of Table 2 of HICL (Kang et al., CVPR 2024). Before them come the labels
of the images alone, projected to the points, with each kind of attention in CLIP's last block;
after them CLIP2Scene and OpenScene. All are scored on the same held-out scenes, and none has seen
a label. The last row has: the same network, trained as long on the labels of all scenes, by
`pretrain-cli finetune`. Settings of `labelfree-cli run` come first.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from records import Table
from runs import App, Job, fill_table, parse

from labelfree_cli.config import PRESETS

ATTENTIONS = ("identity", "sclip", "clearclip", "naclip", "own")
PARTS = ("intra_set", "intra_scene", "inter_scene", "feedback")


def without(*names: str) -> list[str]:
    """Settings that leave parts of the method out."""
    return [f"method.{name}=false" for name in names]


METHODS = {
    "I: base": without(*PARTS),
    "II: + intra-set": without(*PARTS[1:]),
    "III: + intra-scene": without(*PARTS[2:]),
    "IV: + inter-scene": without(*PARTS[3:]),
    "V: + feedback (HICL)": [],
    "CLIP2Scene": ["method.name=clip2scene"],
    "OpenScene": ["method.name=openscene"],
}
PROJECTED, REFINED = "projected labels, {}", "refined in sets, {}"
ENSEMBLE = "OpenScene, 2D-3D ensemble"
PEOPLE = "all labels of people"
ROWS = [form.format(name) for name in ATTENTIONS for form in (PROJECTED, REFINED)]
ROWS += [*METHODS, ENSEMBLE, PEOPLE]


class Runs:
    """The runs of a table, made when they are asked for; those of one attention share labels."""

    def __init__(self, options: argparse.Namespace, settings: list[str]) -> None:
        self.options, self.settings = options, settings
        self.work = options.work or Path("runs/labelfree")
        self.app, self.with_labels = App("labelfree-cli"), App("pretrain-cli")

    def jobs(self) -> Iterator[Job]:
        """One for each row and seed; labels of images know no seed."""
        for row in self.options.rows:
            for seed in self.options.seeds:
                words = {"run": [*self.row_settings(row), *self.settings]}
                if row == PEOPLE:
                    words = {"finetune": self.supervised_settings()}
                make = partial(self.score, row, seed)
                yield Job(row, self.options.column, seed, words, make)

    def supervised_settings(self) -> list[str]:
        """The same data, network and steps, as `pretrain-cli finetune` takes them."""
        preset = PRESETS["quick"]
        words = [
            f"{group}.{name}={value}"
            for group in ("model", "train")
            for name, value in preset[group].items()
        ]
        shared = [word for word in self.settings if word.startswith(("data.", "model.", "train."))]
        return ["model.backbone=res16unet14a", *words, "train.elastic=false", *shared]

    def row_settings(self, row: str) -> list[str]:
        """What a row adds to the settings."""
        if row in METHODS:
            return METHODS[row]
        if row == ENSEMBLE:
            return METHODS["OpenScene"]
        return [f"images.attention={row.rpartition(' ')[2]}", "train.steps=1"]

    def score(self, row: str, seed: int) -> tuple[Path, dict, dict]:
        """A run: its folder, its summary, and the scores of the step that the row is about."""
        if row == PEOPLE:
            folder = self.work / f"{self.options.column}_people_seed{seed}"
            found = self.with_labels.run("finetune", folder, seed, self.supervised_settings())
            return folder, found, {name: found[name] for name in ("miou", "macc")}
        step = "network"
        if row == ENSEMBLE:
            row, step = "OpenScene", "2D-3D ensemble"
        elif row not in METHODS:
            seed = self.options.seeds[0]  # labels of images are the same for every seed
            step = row.partition(",")[0]
        settings, column = [*self.settings, *self.row_settings(row)], self.options.column
        chosen = [word for word in settings if word.startswith("images.attention=")]
        attention = chosen[-1].partition("=")[2] if chosen else "default"
        name = row.partition(":")[0] if row in METHODS else f"attention_{attention}"
        folder = self.work / f"{column}_{name.replace(' ', '_')}_seed{seed}"
        labels = self.work.absolute() / f"labels_{column}_{attention}"
        summary = self.app.run("run", folder, seed, [*settings, f"images.labels={labels}"])
        found = next(one for one in summary["steps"] if one["step"] == step)
        return folder, summary, {name: found[name] for name in ("miou", "f_miou", "macc")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--column", default="rooms", help="name of the data, such as rooms")
    options, settings = parse(parser)
    table = Table(
        title="Label-free segmentation",
        rows=ROWS,
        columns=["rooms", "streets"],
        about=[
            "Paper: Table 2 of HICL on ScanNet: I 28.8, II 31.1, III 32.1, IV 36.1, V 36.6 mIoU.",
            "No label of any scene is learned from, nor does the image encoder know one.",
        ],
        remarks=["Labels of images know no seed: all seeds of these rows are one run."],
    )
    name = options.name or "labelfree"
    print(fill_table(name, table, Runs(options, settings).jobs(), options.results))


if __name__ == "__main__":
    main()
