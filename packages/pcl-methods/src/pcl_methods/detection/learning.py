"""Training a detector with annotated boxes, from fresh or pre-trained weights."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from pcl_backbones.box_coding import mean_box_sizes
from pcl_data import LabelSet, Scene
from pcl_data.splits import SceneSplit
from pcl_methods.detection.detectors import BoxDetector
from pcl_methods.detection.samples import BoxSampling, detection_sample
from pcl_methods.detection.scene_boxes import with_boxes
from pcl_methods.segmentation.batches import Kept, Sample, SceneBatches, SceneSource
from pcl_methods.segmentation.network import freeze_batch_norms
from pcl_run.loop import LoopOptions, Schedule, fit
from pcl_run.run import Run

STAGE = "detection"
N_KEPT = 64  # scenes that stay in memory


def published_schedule(step: int, n_steps: int) -> float:
    """A tenth of the rate after 4/9, 6/9 and 8/9 of the steps: 80, 120 and 160 of 180 epochs.

    Qi et al., "VoteNet", ICCV 2019.

    Example:
        >>> [round(published_schedule(step, 9), 3) for step in (0, 4, 6, 8)]
        [1.0, 0.1, 0.01, 0.001]
    """
    return 0.1 ** sum(9 * step >= part * n_steps for part in (4, 6, 8))


def train_detector(
    run: Run,
    fabric: Fabric,
    detector: BoxDetector,
    batches: SceneBatches,
    *,
    n_steps: int,
    make_optimizer: Callable[[nn.Module], Optimizer],
    schedule: Schedule = published_schedule,
    freeze_bn_fraction: float = 0.0,
    seed: int = 0,
    options: LoopOptions = LoopOptions(),
) -> None:
    """Train a detector; a run that was interrupted goes on exactly.

    Args:
        run: takes metrics and checkpoints.
        fabric: launched; the detector moves to its device.
        detector: is trained in place.
        batches: of `box_batches`.
        n_steps: steps.
        make_optimizer: of the parameters.
        schedule: of the learning rate.
        freeze_bn_fraction: share of the steps, the last, that train with the statistics of batch
            norms fixed, as they are at test.
        seed: of the random numbers of each step.
        options: of the loop.
    """
    detector.to(fabric.device)

    frozen_from = n_steps * (1 - freeze_bn_fraction)

    def training_step(batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        freeze_batch_norms(detector, step >= frozen_from)
        losses = detector.losses(batch)
        if fabric.world_size > 1:  # its averaging waits for a gradient of every weight
            losses["loss"] = losses["loss"] + sum(0 * one.sum() for one in detector.parameters())
        return losses

    fit(
        run,
        fabric,
        stage=STAGE,
        modules=nn.ModuleDict({"detector": detector}),
        optimizers={"detector": make_optimizer(detector)},
        batches=batches,
        training_step=training_step,
        n_steps=n_steps,
        schedule=schedule,
        seed=seed,
        options=options,
    )


def box_batches(
    split: SceneSplit,
    sampling: BoxSampling,
    *,
    batch_size: int,
    seed: int = 0,
    rank: int = 0,
    n_ranks: int = 1,
) -> SceneBatches:
    """Batches of the labeled scenes of a split, functions of (seed, step) alone.

    Args:
        split: with a label set.
        sampling: what the detector sees of a scene.
        batch_size: scenes of a step, of all processes together.
        seed: of the run.
        rank: of this process.
        n_ranks: how many processes there are.

    Raises:
        ValueError: if no scene is labeled, or the processes do not share the batch evenly.
    """
    if batch_size % n_ranks:
        raise ValueError(f"batch_size must be a multiple of {n_ranks} processes, got {batch_size}")
    assert split.label_set is not None  # a split that is learned from has labels
    make = partial(_sample, Kept(partial(labeled_boxes, split), N_KEPT), split.label_set, sampling)
    source = SceneSource(split.labeled, batch_size // n_ranks, make)
    return SceneBatches([source], [seed], rank=rank, n_ranks=n_ranks)


def labeled_boxes(split: SceneSplit, name: str) -> Scene:
    """A labeled scene with the boxes, instances and labels that the budget allows.

    Raises:
        ValueError: if the scene has no boxes, and no labels and instances either.
    """
    assert split.label_set is not None  # a split that is learned from has labels
    return split.budget.limit(with_boxes(split.load(name), split.label_set))


def mean_sizes(split: SceneSplit) -> Float[Tensor, "c 3"]:
    """Mean length, width and height of the labeled boxes of each thing (`mean_box_sizes`), metres.

    Raises:
        ValueError: if no labeled scene has a box.
    """
    assert split.label_set is not None  # a split that is learned from has labels
    things = torch.tensor(split.label_set.things)
    found = [np.asarray(labeled_boxes(split, name).boxes) for name in split.labeled]
    boxes = torch.from_numpy(np.concatenate(found))
    boxes = boxes[torch.isin(boxes[:, 7].long(), things)]
    labels = torch.searchsorted(things, boxes[:, 7].long())
    return mean_box_sizes(boxes[:, :7], labels, len(things))


def _sample(
    load: Callable[[str], Scene],
    label_set: LabelSet,
    sampling: BoxSampling,
    name: str,
    rng: np.random.Generator,
) -> Sample:
    return detection_sample(load(name), label_set, sampling, rng)
