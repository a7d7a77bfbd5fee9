"""TWIST against supervised-only training, and the rows of Tables 1, 4 and 5 of paper 000.

    python benchmarks/twist.py --rows I VI --seeds 0 1 2 --out benchmarks/results/twist_rooms.md
    python benchmarks/twist.py --rows I I+CSC VI VI+CSC --init 'runs/csc_{seed}' --out table1.md

Rows with CSC start from the pre-trained backbone that `--init` names for each seed.

Every row trains the same number of steps on the same labelled scenes and is scored on the same
held-out scenes; rows differ only in what the unlabelled scenes contribute, so that the rows of a
seed share their round 0: it is trained once and continued by each. Further arguments are settings
of `twist-cli run`, such as `--data scans data.labeled=[room0*]`.
"""

import argparse
import json
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from tables import cell, heading

ROWS = {
    "I": ("supervised only", ["twist.pseudo_labels=none", "train.unlabeled_scenes=0"]),
    "II": ("semantic, point-wise threshold", ["twist.pseudo_labels=semantic"]),
    "III": ("offset, point-wise threshold", ["twist.pseudo_labels=offset"]),
    "IV": ("both, point-wise threshold", ["twist.pseudo_labels=points"]),
    "V": ("proposals, no re-correction", ["twist.pseudo_labels=proposals"]),
    "VI": ("TWIST", ["twist.pseudo_labels=recorrected"]),
    "VI any class": ("TWIST, however unsure its class", ["twist.class_threshold=null"]),
    "I+CSC": (
        "supervised only, from CSC",
        ["twist.pseudo_labels=none", "train.unlabeled_scenes=0"],
    ),
    "VI+CSC": ("TWIST, from CSC", ["twist.pseudo_labels=recorrected"]),
    "no off-to-sem": ("Table 5 row 1", ["twist.offset_to_semantic=false"]),
    "no sem-to-off": ("Table 5 row 2", ["twist.semantic_to_offset=false"]),
}
SCORES = ("ap", "ap50", "ap25", "miou")
QUALITY = ("pseudo_semantic_accuracy", "pseudo_offset_error", "pseudo_coverage")


def run_row(row: str, seed: int, work: Path, init: str | None, arguments: list[str]) -> dict:
    """The summary of one run; a run that is already there is not run again."""
    start = ""
    if row.endswith("+CSC"):
        start = "_CSC"
        arguments = [*arguments, f"init={str(init).format(seed=seed)}"]
    folder = work / f"{row.replace(' ', '_')}_seed{seed}"
    if not (folder / "summary.json").exists():
        if not folder.exists():
            copy_round_zero(run_round_zero(seed, work, start, arguments), folder)
        twist(folder, seed, [*ROWS[row][1], *arguments])
    return json.loads((folder / "summary.json").read_text())


def run_round_zero(seed: int, work: Path, start: str, arguments: list[str]) -> Path:
    """The folder of a finished round 0, with a re-correction network for the rows that have one."""
    folder = work / f"round_0{start}_seed{seed}"
    if not (folder / "summary.json").exists():
        twist(folder, seed, [*ROWS["VI"][1], *arguments, "twist.rounds=0"])
    return folder


def copy_round_zero(source: Path, folder: Path) -> None:
    """A run that stands at the end of round 0 and takes the settings it is resumed with."""
    copy = folder.with_name(folder.name + ".part")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True)
    for name in ("config.yaml", "summary.json"):
        (copy / name).unlink()
    copy.rename(folder)


def twist(folder: Path, seed: int, arguments: list[str]) -> None:
    """Run or resume `twist-cli run` in a folder."""
    command = ["twist-cli", "run", "--out", str(folder), "--seed", str(seed)]
    if folder.exists():
        command.append("--resume")
    subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)


def table(results: dict[str, list[dict]], seeds: list[int]) -> list[str]:
    """Last round of every row, then AP50 by round, then by seed."""
    lines = ["| row | | AP | AP50 | AP25 | mIoU | pseudo accuracy | offset error (cm) | coverage |"]
    lines.append("|" + "---|" * 9)
    for row, summaries in results.items():
        last = [summary["rounds"][-1] for summary in summaries]
        cells = [cell([one[key] for one in last]) for key in (*SCORES, *QUALITY)]
        lines.append(f"| {row} | {ROWS[row][0]} | " + " | ".join(cells) + " |")
    n_rounds = len(next(iter(results.values()))[0]["rounds"])
    lines += heading("AP50 by round", range(n_rounds))
    for row, summaries in results.items():
        cells = [cell([one["rounds"][t]["ap50"] for one in summaries]) for t in range(n_rounds)]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    if len(seeds) > 1:
        lines += heading("AP50 of the last round by seed", seeds)
        for row, summaries in results.items():
            cells = [cell([one["rounds"][-1]["ap50"]]) for one in summaries]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["I", "VI"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", help="run folder of `pretrain-cli run`, with {seed} in its name")
    options, arguments = parser.parse_known_args()
    if options.init is None and any(row.endswith("+CSC") for row in options.rows):
        parser.error("--init must name the pre-trained networks of the rows with CSC")
    results = {
        row: [run_row(row, seed, options.work, options.init, arguments) for seed in options.seeds]
        for row in options.rows
    }
    first = next(iter(results.values()))[0]
    command = "python " + shlex.join(sys.argv)
    minutes = [summary["seconds"] / 60 for summaries in results.values() for summary in summaries]
    scenes = {role: len(names) for role, names in first["scenes"].items()}
    lines = [
        "# Self-training on SyntheticRooms"
        if not any("--data" in a for a in arguments)
        else "# Self-training on a folder of scans",
        "",
        f"    {command}",
        "",
        f"{scenes['labeled']} labelled, {scenes['unlabeled']} unlabelled and "
        f"{scenes['validation']} held-out scenes; seeds {options.seeds}, mean ± standard deviation "
        f"of several; protocol `{first['protocol']}`; {platform.machine()}, two cores, median "
        f"{statistics.median(minutes):.0f} minutes a run.",
        "",
        *table(results, options.seeds),
    ]
    options.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
