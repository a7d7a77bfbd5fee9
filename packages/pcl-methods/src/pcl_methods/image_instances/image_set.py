"""Images with annotations, as a network learns from them: one size, classes numbered from 0."""

from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

from pcl_methods.image_instances.lvis_format import LvisAnnotation, LvisData, LvisImage
from pcl_methods.image_instances.masks import decode_mask


class Example(NamedTuple):
    """An image of s x s pixels, the image at its upper left, and what is known of it."""

    image: UInt8[Tensor, "3 s s"]
    masks: Bool[Tensor, "m s s"]
    labels: Int[Tensor, " m"]
    verified: Bool[Tensor, " c"]  # classes of which it is known whether they are there
    exhaustive: Bool[Tensor, " c"]  # classes of which every object has an annotation


class ImageSet:
    """Images of a folder with their annotations; class k is the k-th category.

    Args:
        data: the annotations.
        folder: that the names of files are relative to.
    """

    def __init__(self, data: LvisData, folder: Path) -> None:
        self.data, self.folder = data, folder

    @property
    def n_classes(self) -> int:
        """The number of categories."""
        return len(self.data.categories)

    @cached_property
    def ids(self) -> list[int]:
        """Of the images, in the order of the file."""
        return [one.id for one in self.data.images]

    def of_images(self, ids: list[int]) -> "ImageSet":
        """Some of the images; all categories stay."""
        return ImageSet(self.data.of_images(ids), self.folder)

    def pixels(self, image_id: int) -> UInt8[np.ndarray, "h w 3"]:
        """The image as it is, RGB.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the image is not as large as the annotations say.
        """
        image = self._images[image_id]
        path = self.folder / image.file_name
        with Image.open(path) as file:
            pixels = np.array(file.convert("RGB"))
        if pixels.shape[:2] != (image.height, image.width):
            size = (image.height, image.width)
            raise ValueError(f"{path} must have size {size}, got {pixels.shape[:2]}")
        return pixels

    def example(self, image_id: int, size: int) -> Example:
        """An image and its objects, scaled so that the longer side has `size` pixels.

        An object without a pixel at this size is left out; its class is not exhaustive then.

        Raises:
            FileNotFoundError: if there is no such file.
            ImportError: if faster-coco-eval is missing.
            ValueError: if the image or a mask is not as large as the annotations say.
        """
        image = self._images[image_id]
        whole = torch.from_numpy(self.pixels(image_id)).permute(2, 0, 1)  # (3, h, w)
        masks = [decode_mask(one.segmentation, *whole.shape[1:]) for one in self._of[image_id]]
        stacked = torch.from_numpy(np.array(masks, bool).reshape(len(masks), *whole.shape[1:]))
        small = scaled(stacked, size)  # (m, s, s)
        seen = small.any(dim=(1, 2))
        labels = torch.tensor(
            [self._places[one.category_id] for one in self._of[image_id]], dtype=torch.long
        )
        verified = torch.zeros(self.n_classes, dtype=torch.bool)
        verified[labels] = True
        verified[[self._places[one] for one in image.neg_category_ids]] = True
        exhaustive = torch.ones(self.n_classes, dtype=torch.bool)
        exhaustive[[self._places[one] for one in image.not_exhaustive_category_ids]] = False
        exhaustive[labels[~seen]] = False
        return Example(scaled(whole, size), small[seen], labels[seen], verified, exhaustive)

    @cached_property
    def _images(self) -> dict[int, LvisImage]:
        return {one.id: one for one in self.data.images}

    @cached_property
    def _places(self) -> dict[int, int]:
        return {one.id: place for place, one in enumerate(self.data.categories)}

    @cached_property
    def _of(self) -> dict[int, list[LvisAnnotation]]:
        found: dict[int, list[LvisAnnotation]] = defaultdict(list)
        for one in self.data.annotations:
            found[one.image_id].append(one)
        return found


def inner_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of an image that is scaled so that the longer side has `size` pixels.

    Example:
        >>> inner_size(240, 320, 160)
        (120, 160)
    """
    longer = max(height, width)
    return max(1, round(height * size / longer)), max(1, round(width * size / longer))


def scaled(channels: UInt8[Tensor, "n h w"] | Bool[Tensor, "n h w"], size: int) -> Tensor:
    """Channels of s x s pixels: scaled by area (colors) or to the nearest (masks), then padded."""
    height, width = inner_size(channels.shape[1], channels.shape[2], size)
    kind = "nearest-exact" if channels.dtype == torch.bool else "area"
    if len(channels):
        values = interpolate(channels[None].float(), (height, width), mode=kind)[0]
    else:
        values = channels.new_zeros(0, height, width).float()
    values = pad(values, (0, size - width, 0, size - height))
    return values > 0 if channels.dtype == torch.bool else values.round().to(torch.uint8)
