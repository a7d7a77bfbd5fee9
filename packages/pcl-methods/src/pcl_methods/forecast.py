"""What a run is going to take: a few of its own steps, in a folder that does not stay."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pcl_data.splits import SceneSplit
from pcl_run.checkpoint import KEPT, newest_checkpoint
from pcl_run.config import Config
from pcl_run.memory import peak_memory_bytes
from pcl_run.metrics import read_metrics
from pcl_run.run import Run

STEPS = 3  # the first is slower than all that follow
PREDICTION = 1 / 3  # of the time of a training step that a scene takes to be predicted


class Measured(NamedTuple):
    """Of a few steps, on the device and in the precision of a run."""

    seconds_per_step: float
    checkpoint_bytes: int
    memory_bytes: int  # of the process, at most
    device_memory_bytes: int  # of a CUDA device, at most; 0 without one

    def disk_bytes(self, n_stages: int) -> int:
        """Of a run's checkpoints: the newest, the last of each stage, and its weights."""
        return self.checkpoint_bytes * (KEPT + n_stages)

    def forecast(self, n_steps: int, split: SceneSplit, n_predicted: float = 0) -> dict[str, Any]:
        """What a training of one stage is going to take, as JSON values.

        Args:
            n_steps: of the training.
            split: its scenes.
            n_predicted: batches of scenes that are scored.
        """
        return {
            "dry_run": True,
            **{role: list(getattr(split, role)) for role in ("labeled", "unlabeled", "validation")},
            "seconds_per_step": self.seconds_per_step,
            "training_minutes": n_steps * self.seconds_per_step / 60,
            "scoring_minutes": n_predicted * self.seconds_per_step * PREDICTION / 60,
            "peak_memory_bytes": self.memory_bytes,
            "device_memory_bytes": self.device_memory_bytes,
            "disk_bytes": self.disk_bytes(1),
        }


def measure_steps(train: Callable[[Run], object], config: Config) -> Measured:
    """Time a training of `STEPS` steps that writes a line of metrics a step.

    Args:
        train: trains in a run, with `log_every` 1.
        config: of the run.
    """
    import torch

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        run = Run.open(Path(folder) / "run", config)
        train(run)
        rows = read_metrics(run.folder) if run.is_writer else []
        checkpoint = newest_checkpoint(run.folder)
        files = checkpoint.iterdir() if checkpoint is not None else ()
        size = sum(file.stat().st_size for file in files)
    seconds = [1 / row["steps_per_second"] for row in rows]
    cuda = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return Measured(min(seconds, default=0.0), size, peak_memory_bytes(), cuda)
