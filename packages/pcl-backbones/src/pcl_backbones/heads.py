"""Heads on the features of a U-Net: classes, and offsets to instance centroids.

Hou et al., "Contrastive Scene Contexts", CVPR 2021 (instance segmentation network); parameters
carry the published names.
"""

from torch import nn

from pcl_backbones.sparse import BatchNorm, Conv3d, conv_norm
from pcl_backbones.sparse_tensor import SparseTensor


class SemanticHead(nn.Module):
    """Class logits of each voxel, linear in its features.

    Example:
        >>> SemanticHead(96, 20)
        SemanticHead(
          (final): Conv3d(96, 20, 1, stride=1, bias=True)
        )
    """

    def __init__(self, in_channels: int, n_classes: int) -> None:
        super().__init__()
        self.final = Conv3d(in_channels, n_classes, 1, bias=True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Logits, (v, n_classes), on the same voxels."""
        return self.final(x)


class OffsetHead(nn.Module):
    """Offset from each voxel to the centroid of its instance, metres.

    Example:
        >>> sum(p.numel() for p in OffsetHead(96).parameters())
        9795
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.offsets_pre = Conv3d(in_channels, in_channels, 1, bias=True)
        self.bntr_offset = BatchNorm(in_channels)
        self.offsets = Conv3d(in_channels, 3, 1, bias=True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Offsets, (v, 3), on the same voxels."""
        return self.offsets(conv_norm(self.offsets_pre, self.bntr_offset, x))
