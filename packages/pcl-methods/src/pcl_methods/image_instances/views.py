"""Views of an image: a weak one for the teacher, a strong one for the student.

Weak is turned left to right by chance; strong has other colors besides, and is turned by a chance
of its own (Sohn et al., "FixMatch", NeurIPS 2020). All images have one size.
"""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

JITTER = 0.4  # brightness, contrast and saturation lie within 1 - and 1 + it


def flipped(values: Tensor, is_flipped: bool | np.bool_) -> Tensor:
    """Images or masks (..., s, s), their columns in reverse where that is asked for."""
    return values.flip(-1) if is_flipped else values


def jittered(
    image: UInt8[Tensor, "3 h w"], rng: np.random.Generator, jitter: float | int = JITTER
) -> UInt8[Tensor, "3 h w"]:
    """An image with other brightness, contrast and saturation, in this order.

    Each is a factor of its own: of the colors, of their distance from the mean color of the image,
    and of their distance from the gray of the pixel.

    Args:
        image: RGB.
        rng: draws the factors.
        jitter: they are within 1 - jitter and 1 + jitter.
    """
    brightness, contrast, saturation = 1 + jitter * rng.uniform(-1, 1, 3)
    values = image.float() * float(brightness)
    mean = values.mean(dim=(1, 2), keepdim=True)
    values = mean + float(contrast) * (values - mean)
    gray = values.mean(dim=0, keepdim=True)
    values = gray + float(saturation) * (values - gray)
    return values.round().clamp(0, 255).to(torch.uint8)
