"""Images as the numbers that a network was trained on."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from pcl_clip3d.argument_shapes import checked


@checked
def normalized_pixels(
    image: UInt8[Tensor, "h w 3"],
    size: tuple[int, int],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> Float[Tensor, "1 3 a b"]:
    """The image in another size, minus a mean and divided by a standard deviation.

    Resized bicubically with anti-aliasing, as CLIP's own preparation does; values are in [0, 1]
    before the mean is taken off.

    Args:
        image: RGB.
        size: (a, b) of the result, pixels.
        mean: of each channel, a fraction.
        std: of each channel, a fraction.

    Raises:
        ValueError: if the image is not of uint8, has other than 3 channels or no pixel.

    Example:
        >>> import torch
        >>> white = torch.full((2, 3, 3), 255, dtype=torch.uint8)
        >>> normalized_pixels(white, (1, 1), mean=[0.5] * 3, std=[0.5] * 3).flatten()
        tensor([1., 1., 1.])
    """
    if not image.numel():
        raise ValueError(f"image must have at least one pixel, got {tuple(image.shape)}")
    pixels = image.permute(2, 0, 1)[None].float() / 255
    if pixels.shape[2:] != torch.Size(size):
        pixels = functional.interpolate(
            pixels, size, mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 1)
    centre, spread = (torch.tensor(v, device=image.device).view(3, 1, 1) for v in (mean, std))
    return (pixels - centre) / spread
