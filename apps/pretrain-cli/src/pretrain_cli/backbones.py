"""The backbone that a run starts from: fresh, or from weights that fit."""

from pathlib import Path
from typing import Any

from pcl_appkit.segmentation.features import FEATURES
from pcl_appkit.segmentation.network import Backbone, build_backbone
from pcl_backbones import load_weights
from pcl_backbones.weights import read_card
from pretrain_cli.config import ModelConfig

WEIGHTS = "backbone.safetensors"


def initial_backbone(
    model: ModelConfig, features: str, init: Path | None
) -> tuple[Backbone, dict[str, Any]]:
    """The backbone of a configuration, and the card of the weights that it starts from.

    Args:
        model: network and voxel size.
        features: what it reads of a point, `colors` or `intensity`.
        init: weights, or the run folder that holds them; none: from scratch.

    Raises:
        ValueError: if the weights are of another network, or learned at another voxel size.
    """
    backbone = build_backbone(
        model.backbone, FEATURES[features], width=model.width, norm_momentum=model.norm_momentum
    )
    if init is None:
        return backbone, {}
    path = init / WEIGHTS if init.is_dir() else init
    card = read_card(path)
    wanted = model.model_dump() | {"features": features}
    for key in ("backbone", "width", "voxel_size", "features"):
        if card.get(key, wanted[key]) != wanted[key]:
            raise ValueError(f"init must be of {key} {wanted[key]}, got {card[key]} in {path}")
    load_weights(backbone, path)
    return backbone, card
