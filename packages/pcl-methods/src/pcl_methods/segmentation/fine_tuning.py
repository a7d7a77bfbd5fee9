"""Training with labels, from fresh or pre-trained weights.

The recipe of Hou et al., "Contrastive Scene Contexts", CVPR 2021, section 5; the weights of rare
classes and the mean over the last checkpoints are those of Zhang et al., "Self-Supervised
Pretraining for Large-Scale Point Clouds", NeurIPS 2022, section 4.3.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.losses import rarity_weights, segmentation_losses
from pcl_methods.segmentation.network import SegmentationNetwork, freeze_batch_norms
from pcl_run.loop import LoopOptions, fit, poly
from pcl_run.run import Run

STAGE = "finetune"
WINDOW = 0.15  # share of the steps, the last, whose checkpoints are scored


def fine_tune(
    run: Run,
    fabric: Fabric,
    network: SegmentationNetwork,
    batches: Dataset,
    *,
    n_steps: int,
    make_optimizer: Callable[[nn.Module], Optimizer],
    freeze_bn_fraction: float = 0.0,
    class_weights: Float[Tensor, " k"] | None = None,
    score: Callable[[int], None] = lambda step: None,
    scored_steps: Collection[int] = (),
    seed: int = 0,
    options: LoopOptions = LoopOptions(),
) -> None:
    """Train a network on labeled scenes, from where the run's newest checkpoint stands.

    Args:
        run: takes metrics and checkpoints.
        fabric: launched; the network moves to its device.
        network: classes, and offsets if instances are learned.
        batches: of `training_sample`, a function of the step.
        n_steps: steps.
        make_optimizer: of the network's parameters.
        freeze_bn_fraction: share of the steps, the last, that train with the statistics of batch
            norms fixed, as they are at test.
        class_weights: of the cross-entropy (`class_weights`).
        score: called after each of `scored_steps` steps.
        scored_steps: when.
        seed: of the random numbers of each step.
        options: of the loop.
    """
    network.to(fabric.device)
    weights = None if class_weights is None else class_weights.to(fabric.device)
    frozen_from = n_steps * (1 - freeze_bn_fraction)

    def training_step(batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        # 1. At the end batch norms are as at test.
        freeze_batch_norms(network, step >= frozen_from)
        # 2. Cross-entropy, and with instances the offset loss, of the annotated voxels.
        prediction = network(batch["coords"], batch["features"])
        rows = torch.ones_like(batch["labels"], dtype=torch.bool)
        losses = segmentation_losses(prediction, batch, rows, weights)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def score_if_due(done: int) -> None:
        if done in scored_steps:
            score(done)

    fit(
        run,
        fabric,
        stage=STAGE,
        modules=nn.ModuleDict({"network": network}),
        optimizers={"network": make_optimizer(network)},
        batches=batches,
        training_step=training_step,
        n_steps=n_steps,
        schedule=poly(0.9),
        seed=seed,
        options=options,
        between=score_if_due,
    )
    score(n_steps)


def class_weights(split: SceneSplit, exponent: float) -> Float[Tensor, " k"] | None:
    """Weights of the classes by how often the budget lets them be seen; None for exponent 0.

    Args:
        split: whose labeled scenes are counted.
        exponent: as of `rarity_weights`.
    """
    if exponent == 0:
        return None
    assert split.label_set is not None  # a split that is learned from has labels
    counts = torch.zeros(split.label_set.n_classes, dtype=torch.int64)
    for name in split.labeled:
        labels = split.load_labeled(name).labels
        assert labels is not None  # load_labeled has checked
        counts += torch.from_numpy(np.bincount(labels[labels >= 0], minlength=len(counts)))
    return rarity_weights(counts, exponent)


def steps_to_score(n_steps: int, count: int) -> set[int]:
    """Steps of the checkpoints that are scored: evenly over the last 15 %, always the last.

    Example:
        >>> sorted(steps_to_score(100, 4))
        [85, 90, 95, 100]
    """
    gaps = max(count - 1, 1)
    return {n_steps - round(n_steps * WINDOW * i / gaps) for i in range(count)}


def mean_scores(rows: Sequence[Mapping[str, Any]], names: Collection[str]) -> dict[str, float]:
    """The mean of each score over checkpoints; NaN where one is undefined (None once stored).

    Example:
        >>> mean_scores([{"miou": 0.25}, {"miou": 0.75}], ["miou"])
        {'miou': 0.5}
    """
    return {name: sum(_number(row[name]) for row in rows) / len(rows) for name in names}


def _number(value: float | None) -> float:
    return math.nan if value is None else value
