"""A network whose features lie in the space of a text encoder, and the classifier it becomes."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pcl_backbones import SemanticHead, load_weights, read_card, save_weights
from pcl_data import Scene
from pcl_methods.cards import reading_card
from pcl_methods.segmentation.inference import predict_scene
from pcl_methods.segmentation.network import Backbone, SegmentationNetwork
from pcl_methods.segmentation.segmenter import Segmenter, load_segmenter
from pcl_methods.segmentation.weights import weights_file

HEAD_FILE = "text_head.safetensors"  # beside the classifier


def text_network(backbone: Backbone, dim: int) -> SegmentationNetwork:
    """A network with fresh weights that gives a feature of `dim` channels for each voxel.

    They are its `logits`: the head is a linear layer, as in the paper and in CLIP2Scene.
    """
    return SegmentationNetwork(backbone, dim, offsets=False)


def classifier(
    network: SegmentationNetwork, text_features: Float[Tensor, "c d"]
) -> SegmentationNetwork:
    r"""The network that gives :math:`\langle f, \hat T_c \rangle` as the logits of classes.

    The text is folded into the linear head, so that a classifier like any other is left, which
    every command of every app can use.

    Args:
        network: of `text_network`; it stays as it is.
        text_features: of the classes.
    """
    folded = copy.deepcopy(network)
    head, text = folded.semantic_head.final, text_features.to(network.semantic_head.final.kernel)
    assert head.bias is not None  # as SemanticHead makes it
    with torch.no_grad():
        head.kernel = nn.Parameter(head.kernel @ text.T)
        head.bias = nn.Parameter(head.bias @ text.T)
    return folded


class TextHead(nn.Module):
    """What a classifier has lost: the head before the fold, and the text that was folded in."""

    text_features: Tensor

    def __init__(self, channels: int, dim: int, n_classes: int) -> None:
        super().__init__()
        self.head = SemanticHead(channels, dim)
        self.register_buffer("text_features", torch.zeros(n_classes, dim))


class TextHeadCard(BaseModel):
    """What a file of a text head says of itself."""

    model_config = ConfigDict(strict=True)

    dim: int = Field(ge=1, le=2**14)
    n_classes: int = Field(ge=1, le=2**16)
    channels: int = Field(ge=1, le=2**14)
    text_space: str
    images: dict[str, Any]


@dataclass(frozen=True)
class OpenVocabulary:
    """A trained network, its classes, and its features in the space of the text.

    Args:
        segmenter: gives classes.
        network: gives features as `logits`.
        text_features: (c, d) of the classes.
        text_space: which text encoder fits.
        images: settings of the encoder that it was trained with, JSON values.
    """

    segmenter: Segmenter
    network: SegmentationNetwork
    text_features: Tensor
    text_space: str
    images: dict[str, Any]

    @torch.inference_mode()
    def features(self, scene: Scene) -> Tensor:
        """The feature of every point of a scene, (n, d)."""
        found = predict_scene(
            self.network,
            scene,
            voxel_size=self.segmenter.voxel_size,
            features=self.segmenter.features,
            device=next(self.network.parameters()).device,
            views=self.segmenter.views,
        )
        return found.voxels.logits[found.inverse]


def save_text_head(folder: Path, vocabulary: OpenVocabulary) -> None:
    """Write what `load_open_vocabulary` needs besides the weights of the classifier."""
    network, text = vocabulary.network, vocabulary.text_features
    channels, (n_classes, dim) = network.backbone.feature_channels, text.shape
    stored = TextHead(channels, dim, n_classes)
    stored.head.load_state_dict(network.semantic_head.state_dict())
    stored.text_features.copy_(text)
    card = TextHeadCard(
        dim=dim,
        n_classes=n_classes,
        channels=channels,
        text_space=vocabulary.text_space,
        images=vocabulary.images,
    )
    save_weights(stored, folder / HEAD_FILE, card=card.model_dump(mode="json"))


def load_open_vocabulary(model: Path, device: torch.device | str = "cpu") -> OpenVocabulary:
    """The network of a label-free run.

    Raises:
        ValueError: if there is no such run, or its text head is missing or damaged.
    """
    segmenter = load_segmenter(model, device)
    path = weights_file(model).parent / HEAD_FILE
    if not path.is_file():
        raise ValueError(
            f"model must be a run of labelfree-cli, got no {HEAD_FILE} in {path.parent}"
        )
    with reading_card(path):
        card = TextHeadCard.model_validate(read_card(path))
    stored = TextHead(card.channels, card.dim, card.n_classes)
    load_weights(stored, path)
    network = copy.deepcopy(segmenter.network)
    if card.channels != network.backbone.feature_channels:
        raise ValueError(f"{path} must be of the network beside it, got {card.channels} channels")
    network.semantic_head = stored.head.to(device)
    return OpenVocabulary(
        segmenter,
        network.eval(),
        stored.text_features.to(device),
        card.text_space,
        dict(card.images),
    )
