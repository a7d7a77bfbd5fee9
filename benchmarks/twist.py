"""TWIST against supervised-only training.

    python benchmarks/twist.py data.n_scenes=70 data.budget=10scenes --rows I VI --name my_rooms
    python benchmarks/twist.py --rows I I+CSC VI VI+CSC --init 'runs/csc_{seed}' --name my_csc

The rows are those of Tables 1, 4 and 5 of TWIST (Chu et al., CVPR 2022). Those with CSC start from
the pre-trained backbone that `--init` names for each seed. Those without annotation take what the
images say of 40 scenes in place of labels (`--labels`). Those of a teacher are of Porcher et al.,
"Better (pseudo-)labels", 2024, Table 1, and its peers; give all rows `calibration.scenes=2`, so
that all learn the same labels. Those of smoothed classes (Fig. 2) train on from the supervised
network that `--init` names.

Every row trains the same number of steps on the same labeled scenes and is scored on the same
held-out scenes. Rows differ only in what the unlabeled scenes contribute, so that the rows of a
seed share their round 0: it is trained once and continued by each. Beside each labeled scene, a
step of the other rows holds a pseudo-labeled one: `I two scenes` sees as many as they do. The
scenes are those of `data.world_seed`; `--seeds` are the network's. A run that has a record or a run
folder is not made again. Settings of `twist-cli run`, such as `data.root=scans
'data.labeled=[room0*]'`, come first.
"""

import argparse
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from records import Table
from runs import App, Job, fill_table, parse

SUPERVISED = ["twist.pseudo_labels=none", "train.unlabeled_batch_size=0"]
BY_IMAGES = ["data.budget=40scenes"]  # they cost nobody's time


def taught(targets: str) -> list[str]:
    """Settings of a student that has a teacher and no pseudo-labels of proposals."""
    return ["twist.pseudo_labels=none", f"calibration.targets={targets}"]


def smoothed(kind: str) -> list[str]:
    """Settings of a training on labeled scenes alone."""
    return [*SUPERVISED, "twist.rounds=0", f"calibration.smoothing={kind}"]


ROWS = {
    "I": ("supervised only", SUPERVISED),
    "I two scenes": (
        "supervised only, two labeled scenes a step",
        ["twist.pseudo_labels=none", "train.labeled_batch_size=2"],
    ),
    "II": ("semantic, point-wise threshold", ["twist.pseudo_labels=semantic"]),
    "III": ("offset, point-wise threshold", ["twist.pseudo_labels=offset"]),
    "IV": ("both, point-wise threshold", ["twist.pseudo_labels=points"]),
    "V": ("proposals, no re-correction", ["twist.pseudo_labels=proposals"]),
    "VI": ("TWIST", ["twist.pseudo_labels=recorrected"]),
    "VI any class": ("TWIST, however unsure its class", ["twist.class_threshold=null"]),
    "I+CSC": ("supervised only, from CSC", SUPERVISED),
    "VI+CSC": ("TWIST, from CSC", ["twist.pseudo_labels=recorrected"]),
    "I no annotation": ("supervised by labels of images", [*SUPERVISED, *BY_IMAGES]),
    "VI no annotation": (
        "TWIST from labels of images",
        ["twist.pseudo_labels=recorrected", *BY_IMAGES],
    ),
    "teacher one-hot": ("sure one-hot labels of a teacher", taught("one-hot")),
    "teacher soft": ("its soft labels", taught("soft")),
    "teacher corrected": ("soft labels, corrected by its error", taught("corrected")),
    "teacher aligned": ("soft labels, distribution alignment", taught("aligned")),
    "teacher adjusted": ("soft labels, logit adjustment", taught("adjusted")),
    "teacher freematch": ("one-hot labels, FreeMatch", taught("freematch")),
    "VI calibrated": ("TWIST, calibrated thresholds", ["calibration.proposals=true"]),
    "VI soft": ("TWIST, proposals teach all classes", ["calibration.proposal_targets=soft"]),
    "VI corrected": (
        "TWIST, calibrated thresholds and classes of proposals",
        ["calibration.proposals=true", "calibration.proposal_targets=corrected"],
    ),
    "VI corrected, teacher": (
        "the same, and corrected soft labels of a teacher",
        [
            "calibration.proposals=true",
            "calibration.proposal_targets=corrected",
            "calibration.targets=corrected",
        ],
    ),
    "smoothed none": ("labeled scenes", smoothed("none")),
    "smoothed uniform": ("labeled scenes, uniform smoothing", smoothed("uniform")),
    "smoothed similarity": ("labeled scenes, similarity", smoothed("similarity")),
    "smoothed frequency": ("labeled scenes, similarity and frequency", smoothed("frequency")),
    "no off-to-sem": ("Table 5 row 1", ["twist.offset_to_semantic=false"]),
    "no sem-to-off": ("Table 5 row 2", ["twist.semantic_to_offset=false"]),
}


class Runs:
    """The runs of a table, made when they are asked for."""

    def __init__(self, options: argparse.Namespace, settings: list[str]) -> None:
        self.options, self.settings = options, settings
        self.work = options.work or Path("runs/twist")
        self.app = App("twist-cli")

    def jobs(self) -> Iterator[Job]:
        """One for each row and seed."""
        for row in self.options.rows:
            title, settings = ROWS[row]
            words = {"run": [*settings, *self.settings]}
            option = start_of(row)[1]
            if option:
                words[option] = [getattr(self.options, option)]
            for seed in self.options.seeds:
                yield Job(f"{row}: {title}", None, seed, words, partial(self.score, row, seed))

    def score(self, row: str, seed: int) -> tuple[Path, dict, dict]:
        """A run: its folder, its summary, and its scores after the last round and by round."""
        folder = self.work / f"{row.replace(' ', '_')}_seed{seed}"
        settings, (start, option) = self.settings, start_of(row)
        if option:
            settings = [*settings, f"{option}={getattr(self.options, option).format(seed=seed)}"]
        if not folder.exists() and not row.startswith("smoothed"):
            copy_round_zero(self.round_zero(seed, start, settings), folder)
        summary = self.app.run("run", folder, seed, [*ROWS[row][1], *settings])
        return folder, summary, scores_of(summary["rounds"])

    def round_zero(self, seed: int, start: str, settings: list[str]) -> Path:
        """The folder of a finished round 0, with a re-correction network for rows that have one."""
        folder = self.work / f"round_0{start}_seed{seed}"
        row = "VI no annotation" if start == "_labels" else "VI"
        self.app.run("run", folder, seed, [*ROWS[row][1], *settings, "twist.rounds=0"])
        return folder


def start_of(row: str) -> tuple[str, str]:
    """What the round 0 of a row is called, and the option that names what it begins with."""
    for end, found in {"+CSC": ("_CSC", "init"), "no annotation": ("_labels", "labels")}.items():
        if row.endswith(end):
            return found
    return ("", "init") if row.startswith("smoothed") else ("", "")


def copy_round_zero(source: Path, folder: Path) -> None:
    """A run that stands at the end of round 0 and takes the settings it is resumed with."""
    copy = folder.with_name(folder.name + ".part")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True)
    for name in ("config.yaml", "summary.json"):
        (copy / name).unlink()
    copy.rename(folder)


def scores_of(rounds: list[dict]) -> dict[str, float | None]:
    """All scores after the last round, and AP50 and mean IoU after each."""
    last = {name: value for name, value in rounds[-1].items() if name != "round"}
    for one in rounds:
        for name in ("ap50", "miou"):
            last[f"{name}_round_{one['round']}"] = one[name]
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["I", "VI"])
    parser.add_argument("--init", help="run folder of `pretrain-cli run`, with {seed} in its name")
    parser.add_argument(
        "--labels", help="folder of `labelfree-cli labels`, or a run of it, likewise"
    )
    options, settings = parse(parser)
    for row in options.rows:
        _, option = start_of(row)
        if option and getattr(options, option) is None:
            parser.error(f"--{option} must name a run for the row {row}")
    table = Table(
        title="Self-training",
        rows=[f"{row}: {title}" for row, (title, _) in ROWS.items()],
        columns=[],
        about=[],
        remarks=[],
    )
    jobs = Runs(options, settings).jobs()
    print(fill_table(options.name or "twist", table, jobs, options.results))


if __name__ == "__main__":
    main()
