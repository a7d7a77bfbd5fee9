"""The two networks of TWIST: Φ (features, classes, offsets) and Ψ (re-correction).

Chu et al., "TWIST: Two-Way Inter-Label Self-Training for Semi-Supervised 3D Instance
Segmentation", CVPR 2022, sections 3 and 4.2.
"""

from pcl_backbones import ProposalEncoder
from pcl_methods.segmentation.features import FEATURES
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_pseudolabel import ProposalRecorrector
from twist_cli.config import RunConfig

ENCODER_CHANNELS = 128


def build_networks(
    config: RunConfig, n_classes: int
) -> tuple[SegmentationNetwork, ProposalRecorrector]:
    """Φ and Ψ with fresh weights."""
    backbone = build_backbone(
        config.model.backbone,
        FEATURES["colors"],
        width=config.model.width,
        norm_momentum=config.model.norm_momentum,
    )
    network = SegmentationNetwork(backbone, n_classes)
    channels = FEATURES["colors"]
    if config.twist.recorrector_features == "backbone":
        channels = backbone.feature_channels
    encoder = ProposalEncoder(
        3 + channels, out_channels=ENCODER_CHANNELS, voxel_size=config.model.voxel_size
    )
    return network, ProposalRecorrector(encoder, ENCODER_CHANNELS, n_classes)
