"""What supervised training minimises: cross-entropy and, with instances, the offset loss.

Eq. 1 of Chu et al., "TWIST", CVPR 2022.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from pcl_methods.segmentation.network import VoxelPrediction
from pcl_pseudolabel import offset_loss


def segmentation_losses(
    prediction: VoxelPrediction,
    batch: Mapping[str, Tensor],
    rows: Tensor,
    class_weights: Float[Tensor, " k"] | None = None,
    *,
    class_targets: Float[Tensor, "k k"] | None = None,
    over_all: bool = False,
) -> dict[str, Tensor]:
    """The losses of some voxels of a batch: `semantic`, and `offset` if offsets are predicted.

    Means run over annotated voxels alone; without one a loss is 0.

    Args:
        prediction: for every voxel of the batch.
        batch: `labels`; with offsets also `points`, `centers` and `instances` (`training_sample`);
            what is learned of the class of each voxel, `class_targets` (v, k), if not the label.
        rows: (v,) bool, or index, of the voxels that count.
        class_weights: of the voxels of a class in the mean of `semantic`, at least 1 each; equal
            by default.
        class_targets: what is learned of each class, rows that sum to one, in place of what the
            batch says.
        over_all: means run over all voxels of `rows`, those without annotation as zeros: a scene of
            which little is annotated weighs little.
    """
    labels = batch["labels"][rows]
    targets = batch["class_targets"][rows] if "class_targets" in batch else None
    if class_targets is not None:
        targets = class_targets[labels.clamp(min=0)]
    semantic = voxel_cross_entropy(prediction.logits[rows], labels, targets)
    weights = labels >= 0
    if class_weights is not None:
        weights = weights * class_weights[labels.clamp(min=0)]
    n_weights = len(labels) if over_all else weights.sum().clamp(min=1)
    losses = {"semantic": (semantic * weights).sum() / n_weights}
    if prediction.offsets is not None:
        target = batch["centers"][rows] - batch["points"][rows]
        has_instance = batch["instances"][rows] >= 0
        losses["offset"] = offset_loss(prediction.offsets[rows], target, has_instance)
        if over_all:  # the mean over voxels with an instance, times their share
            losses["offset"] = losses["offset"] * has_instance.float().mean()
    return losses


def rarity_weights(counts: Int[Tensor, " k"], exponent: float) -> Float[Tensor, " k"]:
    """(points of the commonest class / points of the class) ^ exponent; 1 for a class without any.

    Yan et al., "Sparse Single Sweep LiDAR Point Cloud Segmentation via Learning Contextual Shape
    Priors from Scene Completion", AAAI 2021, with the exponent 1/3 (`train.py` of JS3C-Net).

    Args:
        counts: annotated points of each class.
        exponent: 0 gives equal weights, 1 inverse frequencies.

    Example:
        >>> rarity_weights(torch.tensor([80, 10, 0]), 1 / 3)
        tensor([1., 2., 1.])
    """
    return torch.where(counts > 0, counts.max() / counts.clamp(min=1), 1).float() ** exponent


def voxel_cross_entropy(
    logits: Float[Tensor, "v k"],
    labels: Int[Tensor, " v"],
    targets: Float[Tensor, "v k"] | None = None,
) -> Float[Tensor, " v"]:
    """The cross-entropy of each voxel with its label, or its target instead; 0 without a label."""
    learned = labels.clamp(min=0) if targets is None else targets
    return cross_entropy(logits, learned, reduction="none") * (labels >= 0)
