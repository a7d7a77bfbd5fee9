"""Heads on the features of a U-Net: classes, offsets to instance centroids, and projections.

Hou et al., "Contrastive Scene Contexts", CVPR 2021 (instance segmentation network), whose
published names the parameters of the first two carry. Chen et al., "A Simple Framework for
Contrastive Learning of Visual Representations" (SimCLR), ICML 2020, sec. 2.1: the projection.
"""

from jaxtyping import Float
from torch import Tensor, nn

from pcl_backbones.sparse import BatchNorm, Conv3d, ConvNorm, conv_norm
from pcl_backbones.sparse_tensor import SparseTensor


class SemanticHead(nn.Module):
    """Class logits of each voxel, linear in its features or by one layer more.

    Args:
        in_channels: channels of the features.
        n_classes: channels of the logits.
        n_layers: 1 as published, or 2, the light decoder of Zhang et al., "Self-Supervised
            Pretraining for Large-Scale Point Clouds", NeurIPS 2022, sec. 4.3.

    Raises:
        ValueError: if n_layers is neither.

    Example:
        >>> sum(p.numel() for p in SemanticHead(96, 20).parameters())
        1940
    """

    def __init__(self, in_channels: int, n_classes: int, *, n_layers: int = 1) -> None:
        super().__init__()
        if n_layers not in (1, 2):
            raise ValueError(f"n_layers must be 1 or 2, got {n_layers}")
        self.hidden = nn.Sequential()  # changes nothing
        if n_layers == 2:
            conv = Conv3d(in_channels, in_channels, 1)
            self.hidden = ConvNorm(conv, BatchNorm(in_channels))
        self.final = Conv3d(in_channels, n_classes, 1, bias=True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Logits, (v, n_classes), on the same voxels."""
        return self.final(self.hidden(x))


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


class ProjectionHead(nn.Module):
    """Linear, ReLU, linear: from features to the space of a contrastive loss.

    On rows of a plain tensor, such as those of pooled volumes or scenes; no batch norm, as the
    volumes of one batch are few. Rows are not scaled to unit length: losses do that.

    Args:
        in_channels: channels of the features.
        out_channels: channels of the projection.
        hidden_channels: between the layers; None is in_channels.

    Raises:
        ValueError: if a size is below 1.

    Example:
        >>> import torch
        >>> ProjectionHead(96)(torch.rand(5, 96)).shape
        torch.Size([5, 128])
    """

    def __init__(
        self, in_channels: int, out_channels: int = 128, hidden_channels: int | None = None
    ) -> None:
        super().__init__()
        hidden = in_channels if hidden_channels is None else hidden_channels
        sizes = {"in_channels": in_channels, "out_channels": out_channels}
        for name, value in (sizes | {"hidden_channels": hidden}).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.in_channels = in_channels
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(), nn.Linear(hidden, out_channels)
        )

    def forward(self, rows: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """Projections, (n, out_channels).

        Raises:
            ValueError: if the rows have other channels.
        """
        if rows.ndim != 2 or rows.shape[1] != self.in_channels:
            wanted, got = self.in_channels, tuple(rows.shape)
            raise ValueError(f"rows must have shape (n, {wanted}), got {got}")
        return self.layers(rows)
