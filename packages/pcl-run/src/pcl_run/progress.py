"""Progress of a stage on stderr: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pcl_run.memory import peak_memory_bytes


class StageProgress:
    """Speed, waiting and time left of one stage."""

    def __init__(self, stage: str, start: int, n_steps: int, log: Callable[..., None]) -> None:
        self.title, self.n_steps, self.log = stage.replace("_", " "), n_steps, log
        self.last_step, self.last_time, self.waited = start, time.perf_counter(), 0.0
        # The bar comes last and takes what the terminal has left.
        text = TextColumn("{task.description} {task.completed}/{task.total}{task.fields[text]}")
        console = Console(stderr=True)
        self.is_live = sys.stderr.isatty()
        self.bar = Progress(
            *(text, BarColumn(bar_width=None)),
            console=console,
            disable=not self.is_live,
            transient=True,
            expand=True,
        )
        self.task = self.bar.add_task(self.title, total=n_steps, completed=start, text="")

    def __enter__(self) -> "StageProgress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def step(self, done: int, waited: float) -> None:
        """Count a step that waited so many seconds for its batch."""
        self.waited += waited
        self.bar.update(self.task, completed=done)

    def measure(self, done: int) -> dict[str, float]:
        """Steps per second, fraction of time waiting for data and peak memory since last asked."""
        now = time.perf_counter()
        seconds = max(now - self.last_time, 1e-9)
        measured = {
            "steps_per_second": (done - self.last_step) / seconds,
            "data_wait": min(self.waited / seconds, 1.0),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.last_step, self.last_time, self.waited = done, now, 0.0
        return measured

    def show(self, done: int, terms: Mapping[str, float], measured: Mapping[str, float]) -> None:
        """The loss terms and what `measure` found; a live line keeps to the loss."""
        left = (self.n_steps - done) / max(measured["steps_per_second"], 1e-9)
        shown = {name: f"{name} {value:.4g}" for name, value in terms.items()}
        loss = shown.pop("loss")
        speed = "  ".join(
            [
                f"{measured['steps_per_second']:.3g} steps/s",
                f"data wait {measured['data_wait']:.0%}",
                f"ETA {timedelta(seconds=round(left))}",
                f"memory {measured['peak_memory_bytes'] / 2**20:.0f} MiB",
            ]
        )
        self.bar.update(self.task, text=f"  {loss}  {speed}")
        line = "  ".join([f"{self.title} {done}/{self.n_steps}", loss, *shown.values(), speed])
        self.log(line, echo=not self.is_live)
