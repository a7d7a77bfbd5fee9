"""Burn-in on annotated images, then a student and its teacher on all images.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, section 3:
the teacher learns from smoothed annotations; the student begins as the teacher and learns from them
and from what the teacher, its moving average, says of unlabeled images.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from pcl_methods.image_instances.batches import BatchSizes, ImageBatches
from pcl_methods.image_instances.image_set import ImageSet
from pcl_methods.image_instances.network import InstanceNetwork, NetworkSizes
from pcl_methods.image_instances.objective import InstanceTargets, instance_losses
from pcl_methods.image_instances.teacher import InstanceTeacher, Teaching
from pcl_run.loop import LoopOptions, derive_seed, fit
from pcl_run.run import Run


@dataclass(frozen=True)
class InstanceTraining:
    """How a network trains in a stage; the learning rate falls as a cosine.

    Args:
        rate: of learning, at first.
        weight_decay: of AdamW.
        largest_gradient: norm that the gradient of all weights together is scaled down to.
        batch: images of a batch.
    """

    rate: float = 1e-3
    weight_decay: float = 0.05
    largest_gradient: float = 1.0
    batch: BatchSizes = field(default_factory=BatchSizes)


@dataclass(frozen=True)
class Preset:
    """Sizes and training that belong together."""

    network: NetworkSizes
    training: InstanceTraining
    teaching: Teaching


# On a CPU, in minutes.
SMALL = Preset(NetworkSizes(), InstanceTraining(), Teaching())
# Rates, batches and strengths of the paper (sixteen GPUs burn in two images each; eight teach: take
# half of `batch`), thresholds of Berrada et al. and the gradients of Mask2Former. The network is
# another one: Swin-L has about two thirds of the parameters of EVA-02 L. It is untested.
PAPER = Preset(
    NetworkSizes(
        image_size=1536,
        embed_dim=192,
        depths=(2, 2, 18, 2),
        heads=(6, 12, 24, 48),
        window=12,
        width=256,
        feedforward=2048,
        encoder_layers=6,
        decoder_layers=9,
        n_queries=300,
        n_points=12544,
    ),
    InstanceTraining(4e-5, largest_gradient=0.01, batch=BatchSizes(32, 32)),
    Teaching(score=0.7, momentum=0.9996),
)


@dataclass(frozen=True)
class Learning:
    """One run: where it is kept, and what is the same in its stages.

    Args:
        run: the folder that takes metrics and checkpoints; opened again it continues.
        fabric: a launched Fabric of one process.
        network: is trained in place.
        labeled: images with annotations.
        training: how.
        seed: of batches and of every random choice.
        options: workers, and how often to log and to write checkpoints.
    """

    run: Run
    fabric: Fabric
    network: InstanceNetwork
    labeled: ImageSet
    training: InstanceTraining = InstanceTraining()
    seed: int = 0
    options: LoopOptions = LoopOptions()

    def burn_in(
        self, targets: Float[Tensor, "c c_and_none"], n_steps: int, *, stage: str = "burn-in"
    ) -> None:
        """Learn from annotations.

        Args:
            targets: what is learned of each class, as of `smoothed_classes`.
            n_steps: of the stage.
            stage: its name, unique in the run.
        """

        def step(batch: Mapping[str, Any], _: int) -> dict[str, Tensor]:
            return labeled_losses(self.network, batch["labeled"], targets)

        self._fit(stage, {"network": self.network}, None, step, n_steps)

    def teach(
        self,
        unlabeled: ImageSet,
        targets: Float[Tensor, "c c_and_none"],
        teaching: Teaching,
        errors: Float[Tensor, " c"],
        n_steps: int,
        *,
        stage: str = "teaching",
    ) -> InstanceTeacher:
        """Learn from annotations and from the teacher, which is returned.

        Args:
            unlabeled: images whose annotations are not read.
            targets: what is learned of each annotated class.
            teaching: how.
            errors: accuracy minus confidence of each class, on images of neither kind.
            n_steps: of the stage.
            stage: its name, unique in the run.
        """
        teacher = InstanceTeacher(self.network, teaching, errors)

        def step(batch: Mapping[str, Any], _: int) -> dict[str, Tensor]:
            teacher.follow(self.network)
            losses = labeled_losses(self.network, batch["labeled"], targets)
            views = batch["unlabeled"]
            pseudo = teacher(views["weak"], views["turned"])
            taught = instance_losses(self.network, self.network(views["strong"]), pseudo)["loss"]
            found = taught.new_tensor(sum(len(one.masks) for one in pseudo) / len(pseudo))
            loss = losses["loss"] + teaching.weight * taught
            parts = {"labeled": losses["loss"], "taught": taught, "objects": found}
            return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}

        modules = {"network": self.network, "teacher": teacher}
        self._fit(stage, modules, unlabeled, step, n_steps)
        return teacher

    def _fit(
        self,
        stage: str,
        modules: Mapping[str, nn.Module],
        unlabeled: ImageSet | None,
        step: Any,
        n_steps: int,
    ) -> None:
        training, size = self.training, self.network.sizes.image_size
        seed = derive_seed(self.seed, stage)
        batches = ImageBatches(self.labeled, unlabeled, training.batch, size, [seed])
        weights = list(self.network.parameters())
        optimizer = AdamW(weights, training.rate, weight_decay=training.weight_decay)
        optimizer.register_step_pre_hook(_clipping(weights, training.largest_gradient))
        fit(
            self.run,
            self.fabric,
            stage=stage,
            modules=nn.ModuleDict(dict(modules)),
            optimizers={"network": optimizer},
            batches=batches,
            training_step=step,
            n_steps=n_steps,
            schedule=_cosine,
            seed=self.seed,
            options=self.options,
        )


def labeled_losses(
    network: InstanceNetwork, batch: Mapping[str, Any], targets: Float[Tensor, "c c_and_none"]
) -> dict[str, Tensor]:
    """The losses of annotated images of a batch.

    Args:
        network: in training mode.
        batch: the `labeled` of `ImageBatches`.
        targets: what is learned of each class.
    """
    names = ("masks", "labels", "verified", "exhaustive")
    of_images = [
        InstanceTargets(masks, targets.to(masks.device)[labels], verified, exhaustive)
        for masks, labels, verified, exhaustive in zip(*map(batch.get, names), strict=True)
    ]
    losses = instance_losses(network, network(batch["images"]), of_images)
    return {name: one if name == "loss" else one.detach() for name, one in losses.items()}


def _clipping(weights: list[nn.Parameter], largest: float) -> Callable[..., None]:
    def clip(*_: Any) -> None:
        clip_grad_norm_(weights, largest)

    return clip


def _cosine(step: int, n_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / n_steps))
