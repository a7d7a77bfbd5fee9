"""The settings that every training has, and the optimisers of the published work."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pcl_run.config import Config

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from pcl_run.loop import LoopOptions


class TrainingConfig(Config):
    """How a network learns; an app's own settings extend it, and set its defaults."""

    steps: int = Field(10_000, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"  # that of the papers; AdamW learns in fewer steps
    learning_rate: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    dampening: float = Field(0.1, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(1e-4, ge=0)
    precision: Literal["32-true", "bf16-mixed"] = Field(
        "32-true", description="of the products; bf16-mixed is faster where the device has bfloat16"
    )
    workers: int = Field(0, ge=0, description="processes that prepare batches")
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(200, ge=1)

    def loop_options(self) -> "LoopOptions":
        """Of `fit`."""
        from pcl_run.loop import LoopOptions

        return LoopOptions(self.workers, self.log_every, self.checkpoint_every)


def make_optimizer(
    module: "nn.Module", settings: TrainingConfig, learning_rate: float | None = None
) -> "Optimizer":
    """An optimiser of every parameter of a module.

    Args:
        module: what is trained.
        settings: the kind of optimiser, and its own settings.
        learning_rate: another than that of the settings.
    """
    from torch.optim import SGD, AdamW

    rate = settings.learning_rate if learning_rate is None else learning_rate
    if settings.optimizer == "adamw":
        return AdamW(module.parameters(), rate, weight_decay=settings.weight_decay)
    return SGD(
        module.parameters(),
        lr=rate,
        momentum=settings.momentum,
        dampening=settings.dampening,
        weight_decay=settings.weight_decay,
    )
