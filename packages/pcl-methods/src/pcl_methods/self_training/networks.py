"""The two networks of TWIST: Φ (features, classes, offsets) and Ψ (re-correction).

Chu et al., "TWIST", CVPR 2022, sections 3 and 4.2.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from pcl_backbones import ProposalEncoder
from pcl_data import LabelSet
from pcl_methods.segmentation.features import FeatureKind
from pcl_methods.segmentation.network import VoxelPrediction
from pcl_methods.self_training.proposals import Clustering, cluster_voxels
from pcl_pseudolabel import ProposalRecorrector

ENCODER_CHANNELS = 128


def build_recorrector(channels: int, n_classes: int, *, voxel_size: float) -> ProposalRecorrector:
    """Ψ with fresh weights: a small sparse encoder of proposals and two heads.

    Args:
        channels: of what it reads beside coordinates: of Φ's features, or of the input.
        n_classes: of the label set.
        voxel_size: of the encoder, metres.
    """
    encoder = ProposalEncoder(3 + channels, out_channels=ENCODER_CHANNELS, voxel_size=voxel_size)
    return ProposalRecorrector(encoder, ENCODER_CHANNELS, n_classes)


class TwistModel(nn.Module):
    """Φ and Ψ, and what it takes to use them on a scene.

    Args:
        network: Φ, any module called as `network(coords, features)` with voxels (v, 4) and (v, c)
            that gives a `VoxelPrediction` with offsets, such as `SegmentationNetwork`.
        recorrector: Ψ, such as `build_recorrector` makes it.
        label_set: of the classes; those without instances are never clustered.
        voxel_size: metres.
        clustering: module A.
        features: what Φ reads (`point_features`).
        recorrector_reads: Φ's features, or (Table 6, row I) what Φ reads itself.
        views: of a scene, turned and tilted, whose mean is its prediction.
    """

    def __init__(
        self,
        network: nn.Module,
        recorrector: ProposalRecorrector,
        label_set: LabelSet,
        *,
        voxel_size: float,
        clustering: Clustering,
        features: FeatureKind = "colors",
        recorrector_reads: Literal["backbone", "input"] = "backbone",
        views: int = 1,
    ) -> None:
        super().__init__()
        self.network, self.recorrector = network, recorrector
        self.label_set, self.voxel_size, self.clustering = label_set, voxel_size, clustering
        self.features, self.recorrector_reads, self.views = features, recorrector_reads, views
        self.stuff = label_set.stuff

    @property
    def device(self) -> torch.device:
        """That of the weights."""
        return next(self.parameters()).device

    def propose(
        self, points: Tensor, prediction: VoxelPrediction, batch_index: Tensor, rows: Tensor
    ) -> Tensor:
        """Module A: the proposal of each of some voxels, -1 none.

        Args:
            points: (k, 3) of these voxels, metres.
            prediction: of all voxels.
            batch_index: (k,) the scene of each of these voxels.
            rows: (v,) bool, which voxels they are.

        Raises:
            ValueError: if Φ predicts no offsets.
        """
        if prediction.offsets is None:
            raise ValueError("network must predict offsets, got none")
        logits, offsets = prediction.logits[rows], prediction.offsets[rows]
        return cluster_voxels(points, logits, offsets, batch_index, self.clustering, self.stuff)

    def recorrector_input(self, prediction: VoxelPrediction, features: Tensor) -> Tensor:
        """What Ψ reads beside coordinates, (v, c); its loss sends no gradient into Φ."""
        return features if self.recorrector_reads == "input" else prediction.features.detach()
