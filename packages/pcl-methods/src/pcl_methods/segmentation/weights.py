"""Pre-trained backbones: loaded where they fit what is to be trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcl_backbones import load_weights, read_card
from pcl_methods.segmentation.network import Backbone

WEIGHTS = "backbone.safetensors"


def load_backbone(backbone: Backbone, init: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Load weights into a backbone and return their card.

    Args:
        backbone: what is to be trained.
        init: the weights, or the run folder of a pre-training that holds them.
        expected: what the card must say, such as the `voxel_size` that the backbone is to see. A
            card that does not say it is trusted.

    Raises:
        ValueError: if the card says something else, or the weights are of another network.
    """
    path = init / WEIGHTS if init.is_dir() else init
    card = read_card(path)
    for key, wanted in expected.items():
        if card.get(key, wanted) != wanted:
            raise ValueError(f"init must be of {key} {wanted}, got {card[key]} in {path}")
    load_weights(backbone, path)
    return card
