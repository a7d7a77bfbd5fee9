"""What all objectives of pre-training share: a backbone, and the loss of a batch of views.

The backbone alone outlives pre-training.
"""

from typing import Any, NamedTuple

from torch import Tensor, nn

from pcl_backbones import SparseTensor
from pcl_methods.segmentation.encoding import VoxelBackbone

Batch = dict[str, Any]  # as `ViewBatches` gives it
Losses = dict[str, Tensor]


class Compared(NamedTuple):
    """What a loss compares, for the health panel: queries and keys match row by row."""

    queries: Tensor  # (n, c)
    keys: Tensor  # (n, c)
    temperature: float


class Objective(nn.Module):
    """Base of the objectives.

    Args:
        backbone: what is pre-trained.
    """

    backbone: VoxelBackbone
    rows_are_scenes = False  # of `compared`

    def __init__(self, backbone: VoxelBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: Batch, step: int) -> Losses:
        """The losses of a batch; `loss` is their sum, and the others are for the log."""
        raise NotImplementedError

    def follow(self) -> None:
        """After a step of the optimizer: a teacher follows its student, where there is one."""

    def compared(self, batch: Batch) -> Compared:
        """What the loss compares in one scene, or in all scenes if `rows_are_scenes`."""
        raise NotImplementedError


def encode_view(backbone: VoxelBackbone, view: dict[str, Tensor]) -> SparseTensor:
    """The features of a view's voxels."""
    return backbone.features(SparseTensor(view["coords"], view["features"]))
