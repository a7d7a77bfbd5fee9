"""Kills commands at random moments and looks whether what they end with has the same bits.

python benchmarks/kill_and_resume.py --kills 50

A trial starts a command, kills it and all its helper processes without warning (SIGKILL) at a
random moment after its folder is made (of every fifth trial, which makes its rooms anew, at any
moment), starts it again with `--resume`, and compares every file that it leaves with those
of a run that nobody disturbed. What depends on the clock is left out: seconds, steps per second,
dates, memory.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
# Of JSON: what the clock and the memory say, and the sum over a file that has them.
CLOCK = (
    "seconds",
    "steps_per_second",
    "data_wait",
    "peak_memory_bytes",
    "saved_at",
    "time",
    "crc32",
)
WORLD = ["data.n_scenes=4", "data.n_validation=1"]
TINY = ["model.width=0.25", "model.voxel_size=0.16", "train.checkpoint_every=5"]
FRESH = 5  # every such trial makes its rooms anew
COMMANDS = {
    "twist-cli run": [
        *("twist-cli", "run", "--out", "{out}", *WORLD, *TINY, "data.budget=1scenes"),
        *("train.initial_steps=20", "train.steps=10", "twist.rounds=1"),
    ],
    "pretrain-cli run": [
        *("pretrain-cli", "run", "--out", "{out}", *WORLD, *TINY),
        *("train.steps=20", "monitor.every=10"),
    ],
    "pretrain-cli finetune": [
        *("pretrain-cli", "finetune", "--out", "{out}", *WORLD, *TINY),
        *("train.steps=20", "task=instance", "data.budget=1scenes"),
    ],
    "data-cli prepare": ["data-cli", "prepare", "{scans}", "{out}", "--workers", "2"],
}
UNUSED = ("env.json", "train.log", ".lock")  # dates and process numbers


@dataclass
class Count:
    """What the kills of one command came to."""

    same: int = 0
    restarted: int = 0  # killed before there was anything to resume
    wrong: list[str] = field(default_factory=list)
    moments: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Run every command, or those that are named, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=COMMANDS, nargs="+", default=list(COMMANDS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = {name: trials(name, Path(work), options) for name in options.only}
    write(found, options)
    if any(count.wrong for count in found.values()):
        sys.exit(1)


def trials(name: str, work: Path, options: argparse.Namespace) -> Count:
    """The kills of one command."""
    scans = work / "scans"
    if not scans.exists():
        call(["data-cli", "synth", "rooms", str(scans), "--count", "4"])
    fresh_worlds(work)
    _, with_rooms = timed(words(name, work / "whole", scans), work / "whole")
    shutil.rmtree(work / "whole")
    begin, end = timed(words(name, work / "whole", scans), work / "whole")
    expected, count, rng = content(work / "whole"), Count(), random.Random(options.seed)
    out, number = work / "killed", 0
    while number < options.kills:
        shutil.rmtree(out, ignore_errors=True)
        is_fresh = number % FRESH == 0
        if is_fresh:
            fresh_worlds(work)
        moment = rng.uniform(0, with_rooms) if is_fresh else rng.uniform(begin, end)
        if not killed(words(name, out, scans), moment):  # it had ended: the machine is faster now
            if is_fresh:
                with_rooms = moment
            else:
                shutil.rmtree(out)
                begin, end = timed(words(name, out, scans), out)
            continue
        number += 1
        count.moments[stage(out)] += 1
        resume = ["--resume"] if name != "data-cli prepare" and is_begun(out) else []
        count.restarted += name != "data-cli prepare" and not resume
        done = call([*words(name, out, scans), *resume], check=False)
        difference = done.stderr.strip() if done.returncode else differs(expected, content(out))
        count.same += not difference
        if difference:
            count.wrong.append(f"{moment:.2f} s: {difference}")
        print(name, number, f"{moment:.2f} s", difference or "same", file=sys.stderr, flush=True)
    shutil.rmtree(work / "whole")
    return count


def words(name: str, out: Path, scans: Path) -> list[str]:
    """The command of a name."""
    return [word.format(out=out, scans=scans) for word in COMMANDS[name]]


def fresh_worlds(work: Path) -> None:
    """Generated rooms are kept in a folder of this benchmark's own, which begins empty."""
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    shutil.rmtree(work / "cache" / "pcl-data", ignore_errors=True)


def call(command: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command that nobody disturbs."""
    return subprocess.run(command, check=check, capture_output=True, text=True)


def timed(command: Sequence[str], out: Path) -> tuple[float, float]:
    """Seconds until a command has made its folder, and until it ends."""
    started, begin = time.monotonic(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        begin = begin or (time.monotonic() - started) * out.exists()
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return begin, time.monotonic() - started


def killed(command: Sequence[str], moment: float) -> bool:
    """Whether the command was still there to be killed after so many seconds."""
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def is_begun(out: Path) -> bool:
    """Whether there is a run to resume."""
    return (out / "env.json").exists()


def stage(out: Path) -> str:
    """What a killed run was at, from what it had written."""
    if not out.exists():
        return "before the folder"
    if (out / "report").exists() or (out / "report.html").exists():
        return "report"
    state = read(out / "state.json") if (out / "state.json").exists() else {}
    if isinstance(state, dict) and any(re.fullmatch(r"(round|step)_\d+", key) for key in state):
        return "after a first evaluation"
    if any((out / "pseudo").glob("*/*.npz")):
        return "pseudo-labels or later"
    if any((out / "checkpoints").glob("*/meta.json")):
        return "steps after a checkpoint"
    return "steps before a checkpoint" if (out / "config.yaml").exists() else "scenes being written"


def content(out: Path) -> dict[str, str]:
    """A digest of each file, of JSON without the clock."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        path.relative_to(out).as_posix(): digest(path, out)
        for path in files
        if path.name not in UNUSED
        and not {"report", "tensorboard", "checkpoints"} & set(path.relative_to(out).parts)
        and "tfevents" not in path.name
        and path.suffix != ".html"
    }


def digest(path: Path, out: Path) -> str:
    """SHA-256 of what a file says, whatever its folder is called."""
    if path.suffix in (".json", ".jsonl"):
        data = json.dumps(without_clock(read(path))).replace(str(out), "OUT").encode()
    elif path.suffix == ".safetensors":
        data = tensors_of(path.read_bytes())
    else:
        data = path.read_bytes()
    return hashlib.sha256(data).hexdigest()


def tensors_of(data: bytes) -> bytes:
    """A safetensors file without its card, which has seconds and a folder."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return json.dumps(header, sort_keys=True).encode() + data[8 + length :]


def read(path: Path) -> Any:
    """The value of a JSON file, or those of its lines."""
    text = path.read_text("utf-8")
    return (
        [json.loads(line) for line in text.splitlines()]
        if path.suffix == ".jsonl"
        else json.loads(text)
    )


def without_clock(value: Any) -> Any:
    """The value without what depends on the clock."""
    if isinstance(value, dict):
        return {key: without_clock(item) for key, item in value.items() if key not in CLOCK}
    return [without_clock(item) for item in value] if isinstance(value, list) else value


def differs(expected: dict[str, str], found: dict[str, str]) -> str:
    """What is not the same, or nothing."""
    names = sorted(expected.keys() | found.keys())
    other = [name for name in names if expected.get(name) != found.get(name)]
    return f"other {', '.join(other[:5])}" if other else ""


def write(found: dict[str, Count], options: argparse.Namespace) -> None:
    """The table as Markdown."""
    lines = [
        "# Kills",
        "",
        "Each row: kills (SIGKILL of the command and its helper processes) at uniformly random",
        "moments of a short run, then `--resume`; and whether all weights, scores, metrics,",
        "pseudo-labels or prepared files are those of a run that nobody disturbed, bit for bit.",
        "",
        f"`python benchmarks/kill_and_resume.py --kills {options.kills} --seed {options.seed}` on "
        f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        "| command | kills | same bits | others, refused | before there was a run | at |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        moments = ", ".join(f"{what} {n}" for what, n in one.moments.most_common())
        lines.append(
            f"| `{name}` | {sum(one.moments.values())} | {one.same} | {len(one.wrong)} | "
            f"{one.restarted} | {moments} |"
        )
    lines += ["", *(f"- `{name}` {wrong}" for name, one in found.items() for wrong in one.wrong)]
    (options.results / "kill_and_resume.md").write_text("\n".join(lines).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
