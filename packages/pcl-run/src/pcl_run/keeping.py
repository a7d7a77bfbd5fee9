"""What is kept of a stage that is trained: checkpoints, of finite values only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from pcl_run.checkpoint import newest_checkpoint, save_checkpoint
from pcl_run.cli import RunFailed
from pcl_run.interrupts import Interrupted, StopRequest
from pcl_run.run import Run


@dataclass(frozen=True)
class Keeper:
    """Writes the checkpoints of one stage, by the first process.

    Args:
        run: takes them.
        fabric: launched.
        stage: name.
        start: steps that were done when the training began, of which there is a checkpoint.
        n_steps: of the stage.
        modules: saved under their names.
        optimizers: saved under their names.
    """

    run: Run
    fabric: Fabric
    stage: str
    start: int
    n_steps: int
    modules: nn.ModuleDict
    optimizers: Mapping[str, Optimizer]

    def save(self, done: int) -> None:
        """Write the checkpoint of so many steps.

        Raises:
            RunFailed: if a weight is not finite, in every process.
        """
        if (name := self._not_finite()) is not None:
            raise self._diverged(f"weights must be finite, got others in {name}", done)
        if not self.fabric.is_global_zero:
            return
        try:
            save_checkpoint(
                self.run.folder,
                stage=self.stage,
                stage_step=done,
                modules=dict(self.modules.items()),
                optimizers=self.optimizers,
                n_steps=self.n_steps,
            )
        except ValueError as error:  # the state of an optimizer
            raise self._diverged(str(error), done) from None

    @contextmanager
    def kept_if_interrupted(self, stop: StopRequest, done: int) -> Iterator[None]:
        """Leave the block at once when asked to stop, with a checkpoint of the steps that are done.

        Of several processes the first alone does so, as it ends the others.

        Raises:
            Interrupted: that says where.
        """
        try:
            with stop.at_once() if self.fabric.is_global_zero else nullcontext():
                yield
        except Interrupted:
            if done > self.start:
                self.save(done)
            raise self.interrupted(done) from None

    def interrupted(self, done: int) -> Interrupted:
        """That of a run with a checkpoint of so many steps."""
        return Interrupted(f"interrupted at {self.stage} step {done}; continue with --resume")

    def finite(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """The terms as numbers.

        Raises:
            RunFailed: if the loss is not finite.
        """
        values = {name: float(value.detach()) for name, value in terms.items()}
        if not torch.isfinite(terms["loss"]):
            shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            raise self._diverged(f"loss must be finite, got {shown}", step)
        return values

    @contextmanager
    def blaming_divergence(self, step: int) -> Iterator[None]:
        """Where values that are not finite make a step fail, say so.

        Raises:
            RunFailed: in place of a ValueError, if a weight or statistic is not finite.
        """
        try:
            yield
        except ValueError as error:
            if (name := self._not_finite()) is None:
                raise
            problem = f"weights must be finite, got others in {name} ({error})"
            raise self._diverged(problem, step) from None

    def _not_finite(self) -> str | None:
        """The first of weights and statistics that is not finite."""
        for name, value in self.modules.state_dict().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                return name
        return None

    def _diverged(self, problem: str, step: int) -> RunFailed:
        last = newest_checkpoint(self.run.folder)
        kept = "there is no checkpoint" if last is None else f"the last checkpoint is {last.name}"
        return RunFailed(
            f"{problem} at {self.stage} step {step}: the training diverges, as it does if "
            f"the learning rate is too high; {kept}"
        )
