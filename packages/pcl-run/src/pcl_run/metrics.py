"""The numbers of a run: `metrics.jsonl`, one line a log step, and the same for tensorboard."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcl_run.files import atomic_write, jsonable

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FILE = "metrics.jsonl"
EVENTS = "events.out.tfevents.*"


class MetricsLog:
    """An append-only log in which no (stage, step) of an earlier process stays twice."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.writer: SummaryWriter | None = None
        rows = read_metrics(folder)
        self.earlier = {(row["stage"], row["step"]) for row in rows}
        if self.path.exists():
            self._rewrite(rows)  # without the torn last line of a killed process

    def write(self, stage: str, step: int, **values: Any) -> None:
        """Append one line; it replaces the lines an earlier process wrote for this step."""
        key = (stage, step)
        if key in self.earlier:
            self.keep(lambda row: (row["stage"], row["step"]) != key)
        row = {"stage": stage, "step": step, "time": round(time.time(), 3), **jsonable(values)}
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
        self._show(row)
        self._events().flush()

    def truncate(self, stage: str, step: int) -> None:
        """Drop the lines of a stage that lie after `step`."""
        if any(one == stage and at > step for one, at in self.earlier):
            self.keep(lambda row: row["stage"] != stage or row["step"] <= step)

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop every other line."""
        rows = [row for row in read_metrics(self.path.parent) if wanted(row)]
        self.earlier &= {(row["stage"], row["step"]) for row in rows}
        self._rewrite(rows)

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        with atomic_write(self.path) as handle:
            handle.writelines(json.dumps(row) + "\n" for row in rows)
        if self.writer is not None:
            self.writer.close()
            self.writer = None
        for events in self.path.parent.glob(EVENTS):
            events.unlink()
        for row in rows:
            self._show(row)

    def _events(self) -> "SummaryWriter":
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.path.parent))
        return self.writer

    def _show(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            if name not in ("stage", "step", "time") and isinstance(value, int | float):
                tag = f"{row['stage']}/{name}"
                self._events().add_scalar(tag, value, row["step"], walltime=row["time"])


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's `metrics.jsonl`, in order; empty where there is none.

    Raises:
        ValueError: naming the file and the line, if one is damaged.
    """
    path = folder / FILE
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    # what follows the last newline is torn
    return [_read_row(path, number, line) for number, line in enumerate(lines[:-1], start=1)]


def _read_row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if not isinstance(row, dict) or type(row.get("stage")) is not str:
            raise ValueError("it has no stage")
        if type(row.get("step")) is not int or type(row.get("time")) not in (int, float):
            raise ValueError("it has no step or no time")
        for value in row.values():
            if isinstance(value, int):
                float(value)
    except (ValueError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{path}:{number}: is damaged: {error}; without the line the run can go on"
        ) from None
    return row
