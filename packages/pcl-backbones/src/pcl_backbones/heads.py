"""Heads on the features of a backbone.

Hou et al., "Contrastive Scene Contexts", CVPR 2021, downstream instance segmentation.
"""

from torch import nn

from pcl_backbones.sparse import BatchNorm, Conv3d, ReLU
from pcl_backbones.sparse_tensor import SparseTensor


class SemanticHead(nn.Module):
    """A linear layer to class logits."""

    def __init__(self, in_channels: int, n_classes: int) -> None:
        super().__init__()
        self.final = Conv3d(in_channels, n_classes, 1, bias=True)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Logits of each voxel."""
        return self.final(tensor)


class OffsetHead(nn.Module):
    """Two linear layers to the vector from a voxel to its instance's centroid, in metres."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.offsets_pre = Conv3d(in_channels, in_channels, 1, bias=True)
        self.bntr_offset = BatchNorm(in_channels)
        self.relu = ReLU()
        self.offsets = Conv3d(in_channels, 3, 1, bias=True)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Centroid offsets of each voxel."""
        return self.offsets(self.relu(self.bntr_offset(self.offsets_pre(tensor))))
