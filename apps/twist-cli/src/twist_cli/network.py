"""The two networks of TWIST: Φ (features, classes, offsets) and Ψ (re-correction).

Chu et al., "TWIST: Two-Way Inter-Label Self-Training for Semi-Supervised 3D Instance
Segmentation", CVPR 2022, sections 3 and 4.2.
"""

from typing import NamedTuple

from torch import Tensor, nn

from pcl_backbones import (
    OffsetHead,
    ProposalEncoder,
    Res16UNet14A,
    Res16UNet18A,
    Res16UNet34C,
    SemanticHead,
    SparseTensor,
)
from pcl_pseudolabel import ProposalRecorrector
from twist_cli.config import RunConfig

BACKBONES = {
    "res16unet14a": Res16UNet14A,
    "res16unet18a": Res16UNet18A,
    "res16unet34c": Res16UNet34C,
}
ENCODER_CHANNELS = 128


class VoxelPrediction(NamedTuple):
    """What Φ says of every voxel."""

    features: Tensor  # (v, c) of the backbone
    logits: Tensor  # (v, n_classes)
    offsets: Tensor  # (v, 3) metres


class FeatureNetwork(nn.Module):
    """Φ: a sparse U-Net with a semantic and an offset head."""

    def __init__(self, config: RunConfig, n_classes: int) -> None:
        super().__init__()
        build = BACKBONES[config.model.backbone]
        self.backbone = build(
            3, None, width=config.model.width, momentum=config.model.norm_momentum
        )
        channels = self.backbone.feature_channels
        self.semantic_head = SemanticHead(channels, n_classes)
        self.offset_head = OffsetHead(channels)

    def forward(self, coords: Tensor, colors: Tensor) -> VoxelPrediction:
        """Classes and offsets of voxels with `colors` (v, 3) in [-0.5, 0.5]."""
        features = self.backbone.features(SparseTensor(coords, colors))
        logits = self.semantic_head(features).features
        offsets = self.offset_head(features).features
        return VoxelPrediction(features.features, logits, offsets)


def build_networks(config: RunConfig, n_classes: int) -> tuple[FeatureNetwork, ProposalRecorrector]:
    """Φ and Ψ with fresh weights."""
    network = FeatureNetwork(config, n_classes)
    channels = 3
    if config.twist.recorrector_features == "backbone":
        channels = network.backbone.feature_channels
    encoder = ProposalEncoder(
        3 + channels, out_channels=ENCODER_CHANNELS, voxel_size=config.model.voxel_size
    )
    return network, ProposalRecorrector(encoder, ENCODER_CHANNELS, n_classes)
