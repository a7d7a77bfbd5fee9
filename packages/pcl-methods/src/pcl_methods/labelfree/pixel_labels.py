"""The class of pixels of an image by the cosines of their features to texts, and refinements."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import normalize

from pcl_clip3d import (
    DenseFeatures,
    ImageEncoder,
    PixelPairs,
    denoise_prompts,
    flip_pairs,
    smooth_by_keys,
)
from pcl_clip3d.label_refinement import LOGIT_SCALE


class PixelLabels(NamedTuple):
    """What an image says of some of its pixels.

    `kept` is false where the mirrored image says something else; `confidence` is the probability
    of the label, or its share of the evidence where keys were smoothed, in [0, 1].
    """

    features: Float[Tensor, "m d"]
    labels: Int[Tensor, " m"]
    confidence: Float[Tensor, " m"]
    kept: Bool[Tensor, " m"]


@dataclass(frozen=True)
class PixelLabeling:
    """How a pixel gets its class; nothing is trained.

    Args:
        denoise: whether classes that no pixel of the image is likely to show are left out.
        smooth_keys: whether cells gather the evidence of cells with like keys; of CLIP alone.
        mirrored: whether a pixel counts only if it has the same class in the mirrored image.
    """

    denoise: bool = False
    smooth_keys: bool = False
    mirrored: bool = False

    def __call__(
        self,
        encoder: ImageEncoder,
        image: UInt8[Tensor, "h w 3"],
        pairs: PixelPairs,
        text_features: Float[Tensor, "c d"],
    ) -> PixelLabels:
        """The labels of the pixels of pairs, on the CPU.

        Args:
            encoder: of the image.
            image: RGB.
            pairs: pixels, and the points that they show.
            text_features: of the classes, unit rows.

        Raises:
            ValueError: if keys are to be smoothed and the encoder has none.
        """
        features, scores = self._scores(encoder, image, pairs, text_features)
        confidence, labels = scores.max(dim=1)
        kept = torch.ones_like(labels, dtype=torch.bool)
        if self.mirrored:
            mirrored = flip_pairs(pairs, image.shape[1])
            _, scores = self._scores(encoder, image.flip(1), mirrored, text_features)
            kept = scores.argmax(dim=1) == labels
        return PixelLabels(*(part.cpu() for part in (features, labels, confidence, kept)))

    def _scores(
        self,
        encoder: ImageEncoder,
        image: UInt8[Tensor, "h w 3"],
        pairs: PixelPairs,
        text_features: Float[Tensor, "c d"],
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m c"]]:
        """The features of pixels, and the evidence for each class."""
        dense = encoder(image)
        pixels = pairs.pixel_index.to(dense.grid.device)
        features = dense.at(pixels).float()
        if not (self.denoise or self.smooth_keys):
            return features, class_probabilities(features, text_features)
        logits = torch.einsum("cd,dij->cij", text_features, dense.grid.float())
        if self.denoise:
            logits = denoise_prompts(logits)
        if self.smooth_keys:
            if not hasattr(encoder, "keys"):
                raise ValueError("smooth_keys must be false for an encoder without keys, got true")
            evidence = smooth_by_keys(logits, encoder.keys(image)).clamp(min=0)
            evidence = evidence / evidence.sum(dim=0).clamp(min=1e-6)
        else:
            evidence = (LOGIT_SCALE * logits).softmax(dim=0)
        return features, DenseFeatures(evidence, dense.image_size).at(pixels)


def class_probabilities(
    features: Float[Tensor, "m d"], text_features: Float[Tensor, "c d"]
) -> Float[Tensor, "m c"]:
    """Softmax over the classes of the cosines to their texts, (m, c), as sharp as CLIP's own.

    Args:
        features: of pixels, of any length.
        text_features: of the classes, unit rows.
    """
    return (LOGIT_SCALE * normalize(features, dim=1) @ text_features.T).softmax(dim=1)
