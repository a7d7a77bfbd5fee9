"""A network that finds the objects of an image: Mask2Former with fresh weights.

Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022, as
`transformers` has it, with a Swin backbone (Liu et al., ICCV 2021). Nothing is downloaded: the
configuration is here. Porcher et al. take a Cascade Mask R-CNN with EVA-02, which this is not.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pcl_clip3d.torchvision_operators import import_with_torchvision

# Of ImageNet, red, green and blue in [0, 1].
COLOR_MEAN = (0.485, 0.456, 0.406)
COLOR_SPREAD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class NetworkSizes:
    """How large the network is; the default learns on a CPU.

    Args:
        image_size: pixels of the longer side of an image, a multiple of 32.
        embed_dim: channels of the first stage of the backbone.
        depths: blocks of its stages.
        heads: of attention, by stage.
        window: of attention, cells along a side.
        width: channels of pixel decoder and transformer, a multiple of 32.
        feedforward: channels between the layers of both.
        encoder_layers: of the pixel decoder.
        decoder_layers: of the transformer.
        n_queries: most objects of an image.
        n_points: at which masks are compared.

    Raises:
        ValueError: if image_size or width is no multiple of 32.
    """

    image_size: int = 160
    embed_dim: int = 24
    depths: tuple[int, ...] = (1, 1, 2, 1)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    window: int = 5
    width: int = 64
    feedforward: int = 128
    encoder_layers: int = 2
    decoder_layers: int = 3
    n_queries: int = 30
    n_points: int = 1024

    def __post_init__(self) -> None:
        for name in ("image_size", "width"):
            if getattr(self, name) < 32 or getattr(self, name) % 32:
                raise ValueError(f"{name} must be a multiple of 32, got {getattr(self, name)}")


class LayerOutputs(NamedTuple):
    """What a layer of the transformer says of q possible objects."""

    class_logits: Float[Tensor, "b q c_and_none"]  # the last class: no object
    mask_logits: Float[Tensor, "b q h w"]


class InstanceOutputs(NamedTuple):
    """What the network says of a batch of images."""

    last: LayerOutputs
    earlier: list[LayerOutputs]
    features: Float[Tensor, "b d h w"]  # the last of the backbone


class InstanceNetwork(nn.Module):
    """Mask2Former for c classes; weights are drawn from torch's generator.

    At first `no object` is about as likely as all classes together, so that classes of which few
    images tell anything are unlikely from the beginning (as Lin et al., "Focal Loss for Dense
    Object Detection", ICCV 2017, section 3.3, begin with rare foreground).

    Args:
        n_classes: c.
        sizes: of the network.

    Raises:
        ImportError: if transformers is missing.
        ValueError: if n_classes is below 1.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, n_classes: int, sizes: NetworkSizes = NetworkSizes()) -> None:
        super().__init__()
        if n_classes < 1:
            raise ValueError(f"n_classes must be at least 1, got {n_classes}")
        self.n_classes, self.sizes = n_classes, sizes
        self.model = _fresh_model(n_classes, sizes)
        self.register_buffer("mean", torch.tensor(COLOR_MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(COLOR_SPREAD)[:, None, None], persistent=False)

    def forward(self, images: UInt8[Tensor, "b 3 s s"]) -> InstanceOutputs:
        """The outputs of images, RGB."""
        pixels = (images / 255 - self.mean) / self.spread
        found = self.model(pixels, output_auxiliary_logits=True, output_hidden_states=True)
        earlier = [
            LayerOutputs(one["class_queries_logits"], one["masks_queries_logits"])
            for one in found.auxiliary_logits
        ]
        last = LayerOutputs(found.class_queries_logits, found.masks_queries_logits)
        return InstanceOutputs(last, earlier, found.encoder_last_hidden_state)

    @property
    def criterion(self) -> Any:
        """The `Mask2FormerLoss` of the model: its matching, losses of masks and their weights."""
        return self.model.criterion


def _fresh_model(n_classes: int, sizes: NetworkSizes) -> Any:
    library = import_with_torchvision("transformers", "pcl-methods[images]")
    backbone = library.SwinConfig(
        image_size=sizes.image_size,
        embed_dim=sizes.embed_dim,
        depths=list(sizes.depths),
        num_heads=list(sizes.heads),
        window_size=sizes.window,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = library.Mask2FormerConfig(
        backbone_config=backbone,
        num_labels=n_classes,
        feature_size=sizes.width,
        mask_feature_size=sizes.width,
        hidden_dim=sizes.width,
        encoder_feedforward_dim=sizes.feedforward,
        dim_feedforward=sizes.feedforward,
        encoder_layers=sizes.encoder_layers,
        decoder_layers=sizes.decoder_layers + 1,  # it counts the queries before the first
        num_queries=sizes.n_queries,
        train_num_points=sizes.n_points,
    )
    model = library.Mask2FormerForUniversalSegmentation(config)
    nn.init.constant_(model.class_predictor.bias[:-1], -math.log(n_classes))
    return model
