"""The backbone that a run starts from, fresh or from weights that fit, and the network on it."""

from pathlib import Path
from typing import Any

from pcl_methods.segmentation.features import FEATURES
from pcl_methods.segmentation.network import Backbone, SegmentationNetwork, build_backbone
from pcl_methods.segmentation.weights import load_backbone
from pretrain_cli.config import FinetuneConfig, ModelConfig


def initial_backbone(
    model: ModelConfig, features: str, init: Path | None
) -> tuple[Backbone, dict[str, Any]]:
    """The backbone of a configuration, and the card of the weights that it starts from.

    Args:
        model: network and voxel size.
        features: what it reads of a point, `colors` or `intensity`.
        init: weights, or the run folder that holds them; none: from scratch.

    Raises:
        ValueError: if the weights are of another network. Voxels may be of another size: CSC (Hou
            et al., CVPR 2021) goes from 2.5 cm to 2 cm.
    """
    backbone = build_backbone(
        model.backbone, FEATURES[features], width=model.width, norm_momentum=model.norm_momentum
    )
    if init is None:
        return backbone, {}
    expected = model.model_dump(include={"backbone", "width"})
    return backbone, load_backbone(backbone, init, expected | {"features": features})


def build_network(
    config: FinetuneConfig, backbone: Backbone, n_classes: int
) -> SegmentationNetwork:
    """The network of a fine-tuning, on its backbone."""
    is_instance = config.task == "instance"
    layers = config.head_layers
    return SegmentationNetwork(backbone, n_classes, offsets=is_instance, head_layers=layers)
