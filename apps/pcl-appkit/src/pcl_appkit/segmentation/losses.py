"""What supervised training minimises: cross-entropy and, with instances, the offset loss.

Eq. 1 of Chu et al., "TWIST", CVPR 2022.
"""

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import cross_entropy

from pcl_appkit.segmentation.network import VoxelPrediction
from pcl_pseudolabel import offset_loss


def segmentation_losses(
    prediction: VoxelPrediction, batch: Mapping[str, Tensor], rows: Tensor
) -> dict[str, Tensor]:
    """The losses of some voxels of a batch: `semantic`, and `offset` if offsets are predicted.

    Means run over annotated voxels alone; without one a loss is 0.

    Args:
        prediction: for every voxel of the batch.
        batch: `labels`; with offsets also `points`, `centers` and `instances` (`training_sample`).
        rows: (v,) bool, or index, of the voxels that count.
    """
    labels = batch["labels"][rows]
    semantic = voxel_cross_entropy(prediction.logits[rows], labels)
    losses = {"semantic": semantic.sum() / (labels >= 0).sum().clamp(min=1)}
    if prediction.offsets is not None:
        target = batch["centers"][rows] - batch["points"][rows]
        has_instance = batch["instances"][rows] >= 0
        losses["offset"] = offset_loss(prediction.offsets[rows], target, has_instance)
    return losses


def voxel_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of each voxel, (v,); 0 where it has no label."""
    return cross_entropy(logits, labels.clamp(min=0), reduction="none") * (labels >= 0)
