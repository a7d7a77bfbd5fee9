"""The network that is trained: a sparse U-Net with a semantic and an offset head.

As in Hou et al., "Contrastive Scene Contexts", CVPR 2021 (instance segmentation network), and Φ of
Chu et al., "TWIST", CVPR 2022, section 3.
"""

from typing import NamedTuple

from torch import Tensor, nn

from pcl_backbones import (
    SPVCNN,
    OffsetHead,
    Res16UNet14A,
    Res16UNet18A,
    Res16UNet34C,
    SemanticHead,
    SparseTensor,
    SubmanifoldUNet,
)

Backbone = Res16UNet14A | Res16UNet18A | Res16UNet34C | SubmanifoldUNet | SPVCNN
BACKBONES: dict[str, type[Backbone]] = {
    "res16unet14a": Res16UNet14A,
    "res16unet18a": Res16UNet18A,
    "res16unet34c": Res16UNet34C,
    "submanifold": SubmanifoldUNet,
    "spvcnn": SPVCNN,
}


def build_backbone(
    name: str, in_channels: int, *, width: float = 1.0, bn_momentum: float = 0.02
) -> Backbone:
    """A U-Net without last layer, with fresh weights.

    Args:
        name: a key of `BACKBONES`.
        in_channels: 3 for colours, 1 for intensity (`FEATURES`).
        width: factor on every inner channel count.
        bn_momentum: of the batch norms; those in residual blocks keep torch's 0.1.

    Raises:
        ValueError: if there is no such backbone.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {name}")
    return BACKBONES[name](in_channels, None, width=width, bn_momentum=bn_momentum)


class VoxelPrediction(NamedTuple):
    """What the network says of every voxel."""

    features: Tensor  # (v, c) of the backbone
    logits: Tensor  # (v, n_classes)
    offsets: Tensor | None  # (v, 3) metres; none of a network without offset head


class SegmentationNetwork(nn.Module):
    """A backbone with a semantic head and, unless `offsets` is False, an offset head.

    The semantic head has `head_layers` layers, 1 or 2.
    """

    def __init__(
        self, backbone: Backbone, n_classes: int, *, offsets: bool = True, head_layers: int = 1
    ) -> None:
        super().__init__()
        channels = backbone.feature_channels
        self.backbone = backbone
        self.semantic_head = SemanticHead(channels, n_classes, n_layers=head_layers)
        self.offset_head = OffsetHead(channels) if offsets else None

    def forward(self, coords: Tensor, features: Tensor) -> VoxelPrediction:
        """Classes and offsets of voxels (v, 4) with `features` (v, c) (`point_features`)."""
        found = self.backbone.features(SparseTensor(coords, features))
        logits = self.semantic_head(found).features
        offsets = None if self.offset_head is None else self.offset_head(found).features
        return VoxelPrediction(found.features, logits, offsets)


def freeze_batch_norms(module: nn.Module, frozen: bool) -> None:
    """Make batch norms use their running statistics, as at test, or those of the batch.

    A batch of one or two scenes has statistics far from those of all scenes; a network that only
    ever met its batches' own is another one at test.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.train(not frozen)
