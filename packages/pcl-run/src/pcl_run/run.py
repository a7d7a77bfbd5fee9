"""A run: its folder, its configuration, its environment and what it has found so far."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pcl_run.config import Config, flatten, to_yaml
from pcl_run.files import LEFTOVER, atomic_write, write_json
from pcl_run.metrics import MetricsLog
from pcl_run.peers import from_first

FORMAT = "pcl_run run 1"


class Run:
    """A run folder. Of several processes only the first writes; all may read.

    Open one with `Run.open`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_writer = is_main_process()
        self._state = _read_json(folder / "state.json", default={})
        self._metrics = MetricsLog(folder) if self.is_writer else None

    @classmethod
    def open(
        cls, folder: Path, config: Config, *, overwrite: bool = False, resume: bool = False
    ) -> "Run":
        """Make a run folder, or continue the one that is there.

        Args:
            folder: made where it does not exist.
            config: stored as `config.yaml`, itself valid for `load_config(file=...)`.
            overwrite: delete the run that is there first.
            resume: continue the run that is there; the configuration must be the same.

        Of several processes the first makes the folder, and the others wait and take the same.

        Raises:
            ValueError: if the folder holds something and neither is given, if it holds no run,
                or if its configuration differs.
        """
        if overwrite and resume:
            raise ValueError("overwrite and resume must not both be given")

        def prepare() -> Path:
            if is_main_process():
                _prepare(folder, config, overwrite=overwrite, resume=resume)
            return folder

        run = cls(from_first(prepare))
        run.log(f"{'resumed' if resume else 'started'}: {' '.join(sys.argv)}", echo=False)
        return run

    def metrics(self, stage: str, step: int, **values: Any) -> None:
        """Append numbers to `metrics.jsonl` and to tensorboard.

        A line that an earlier, interrupted process wrote for the same step is replaced.
        """
        if self._metrics is not None:
            self._metrics.write(stage, step, **values)

    def truncate_metrics(self, stage: str, step: int) -> None:
        """Drop the lines of a stage after `step`, which a resumed run is about to repeat."""
        if self._metrics is not None:
            self._metrics.truncate(stage, step)

    def remember(self, key: str, value: Any) -> None:
        """Store a small fact in `state.json`, at once and for a resumed run; JSON types only."""
        self._state[key] = json.loads(json.dumps(value))
        if self.is_writer:
            write_json(self.folder / "state.json", self._state)

    def recall(self, key: str, default: Any = None) -> Any:
        """What was remembered, by this process or by the one it resumes."""
        return self._state.get(key, default)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time that the block takes to the fact `seconds`, interrupted or not."""
        started = time.monotonic() - self.recall("seconds", 0.0)
        try:
            yield
        finally:
            self.remember("seconds", time.monotonic() - started)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write `summary.json`; NaN becomes null."""
        if self.is_writer:
            write_json(self.folder / "summary.json", summary)

    def log(self, text: str, *, echo: bool = True) -> None:
        """Append a line to `train.log`, and to stderr unless `echo` is False."""
        if not self.is_writer:
            return
        with (self.folder / "train.log").open("a", encoding="utf-8") as handle:
            handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")
        if echo:
            print(text, file=sys.stderr, flush=True)


def free_folder(name: str) -> Path:
    """The first of runs/NAME_001, runs/NAME_002 ... that is not there yet."""
    number = 1
    while (folder := Path("runs") / f"{name}_{number:03d}").exists():
        number += 1
    return folder


def is_run(folder: Path) -> bool:
    """Whether `Run.open` made this folder."""
    env = _read_json(folder / "env.json", default={})
    return isinstance(env, dict) and env.get("format") == FORMAT


def is_main_process() -> bool:
    """Whether this is the first of the processes that torchrun or Lightning started together."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank() == 0
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    return int(rank) == 0 and int(os.environ.get("NODE_RANK") or "0") == 0


def _prepare(folder: Path, config: Config, *, overwrite: bool, resume: bool) -> None:
    """Check the folder against what is asked, then write `env.json` and `config.yaml`."""
    if resume and not is_run(folder):
        raise ValueError(f"resume must name a run folder, got {folder}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"run folder must be a folder, got the file {folder}")
    leftovers = set(folder.glob(LEFTOVER)) if folder.exists() else set()
    if folder.exists() and set(folder.iterdir()) - leftovers and not resume:
        if not overwrite:
            raise ValueError(f"{folder} is not empty: give --resume, --overwrite or another folder")
        if not is_run(folder):
            raise ValueError(f"overwrite must name a run folder, got {folder}")
        _empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(LEFTOVER):
        leftover.unlink(missing_ok=True)
    stored = folder / "config.yaml"
    if resume and stored.exists():
        _check_same(stored, config)
        from pcl_run.checkpoint import tidy

        tidy(folder)
    # of the process that is resumed
    earlier = _read_json(folder / "env.json", default=None) if resume else None
    before = [*earlier.pop("earlier", []), earlier] if earlier else []
    write_json(folder / "env.json", {**environment(), "earlier": before})
    if not stored.exists():
        with atomic_write(stored) as handle:
            handle.write(to_yaml(config))


def _empty(folder: Path) -> None:
    """Delete a run but for `env.json`, by which a killed deletion can be told and repeated."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "env.json":
            path.unlink()


def _check_same(stored: Path, config: Config) -> None:
    old, new = flatten(yaml.safe_load(stored.read_text(encoding="utf-8")) or {}), flatten(config)
    for key in [*new, *old]:
        was, now = old.get(key, "not set"), new.get(key, "not set")
        if was != now:
            raise ValueError(
                f"{key} must stay {was!r} to resume, got {now!r}; start another run to change it"
            )


def environment() -> dict[str, Any]:
    """Versions, command, machine and git state, as in `env.json`."""
    return {
        "format": FORMAT,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "argv": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": _versions(),
        "git": _git_state(),
    }


def _versions() -> dict[str, str]:
    """Of torch, numpy, our libraries (`pcl-*`) and every app built on this package."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        is_app = any(one.startswith("pcl-run") for one in distribution.requires or ())
        if name in ("torch", "numpy", "lightning-fabric") or name.startswith("pcl-") or is_app:
            found[name] = distribution.version
    return dict(sorted(found.items()))


def _git_state() -> dict[str, Any] | None:
    """Commit of the working folder and whether it has changes; None outside a repository."""
    outputs = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"]):
        try:
            done = subprocess.run(
                ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        outputs.append(done.stdout.strip())
    return {"commit": outputs[0], "changed": bool(outputs[1])}


def _read_json(path: Path, *, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return default
    except ValueError:
        if path.name == "env.json":  # somebody else's file
            return default
        raise
