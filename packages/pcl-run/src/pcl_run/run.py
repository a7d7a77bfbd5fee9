"""A run: its folder, its configuration, its environment and what it has found so far."""

import json
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pcl_run.config import Config
from pcl_run.environment import environment
from pcl_run.files import jsonable, read_json, write_json
from pcl_run.lock import FolderLock
from pcl_run.metrics import MetricsLog
from pcl_run.peers import from_first
from pcl_run.run_folder import is_run, prepare_folder

__all__ = ["Run", "environment", "free_folder", "is_main_process", "is_run"]

STATE = "state.json"


class Run:
    """A run folder. Of several processes only the first writes; all may read.

    Open one with `Run.open`.
    """

    def __init__(self, folder: Path, lock: FolderLock | None = None) -> None:
        self.folder = folder
        self.is_writer = is_main_process()
        self._lock = lock  # held as long as the run is
        self._state = _read_state(folder / STATE) if (folder / STATE).exists() else {}
        self._metrics = MetricsLog(folder) if self.is_writer else None

    @classmethod
    def open(
        cls,
        folder: Path,
        config: Config,
        *,
        overwrite: bool = False,
        resume: bool = False,
        preset: str | None = None,
    ) -> "Run":
        """Make a run folder, or continue the one that is there.

        Args:
            folder: made where it does not exist.
            config: stored as `config.yaml`, itself valid for `load_config(file=...)`.
            overwrite: delete the run that is there first.
            resume: continue the run that is there; the configuration must be the same. A warning
                says what of the machine is not.
            preset: noted in `env.json`: what the configuration began with.

        The folder is locked: one process writes it, until it ends or forgets the run. Of several
        processes of one run the first makes the folder, and the others wait and take the same.

        Raises:
            ValueError: if the folder holds something and neither is given, if it holds no run, if
                its configuration differs, if one of its files is damaged (which), or if another
                process writes it (which).
        """
        if overwrite and resume:
            raise ValueError("overwrite and resume must not both be given")
        locks: list[FolderLock | None] = []

        def prepare() -> Path:
            if is_main_process():
                asked = {"overwrite": overwrite, "resume": resume}
                locks.append(prepare_folder(folder, config, preset=preset, **asked))
            return folder

        run = cls(from_first(prepare), *locks)
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
        """Store a small fact in `state.json`, at once and for a resumed run; JSON types only.

        It is recalled as a resumed run reads it: NaN and infinity are None.
        """
        self._state[key] = json.loads(json.dumps(jsonable(value)))
        if self.is_writer:
            write_json(self.folder / STATE, {**self._state, "crc32": _crc32(self._state)})

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
        """Write `summary.json`; numbers that are not finite become null."""
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
    """The first of runs/NAME_001, runs/NAME_002 ... that is not there yet; it is made."""
    number = 1
    while True:
        folder = Path("runs") / f"{name}_{number:03d}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def is_main_process() -> bool:
    """Whether this is the first of the processes that torchrun or Lightning started together."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank() == 0
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    return int(rank) == 0 and int(os.environ.get("NODE_RANK") or "0") == 0


def _read_state(file: Path) -> dict[str, Any]:
    """The facts of a run, if they are those that were written."""
    state = read_json(file)
    if state.pop("crc32", None) != _crc32(state):
        raise ValueError(f"{file}: is damaged: it is not what was written; start another run")
    return state


def _crc32(state: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(state, sort_keys=True).encode())
