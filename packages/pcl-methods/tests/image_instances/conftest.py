"""Four small images with squares and bars, and a network that sees them in milliseconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pcl_methods.image_instances.image_set import ImageSet
from pcl_methods.image_instances.lvis_format import (
    LvisAnnotation,
    LvisCategory,
    LvisData,
    LvisImage,
)
from pcl_methods.image_instances.network import (
    InstanceNetwork,
    InstanceOutputs,
    LayerOutputs,
    NetworkSizes,
)

TINY = NetworkSizes(64, 8, (1, 1, 1, 1), (1, 1, 2, 2), 2, 32, 32, 1, 1, 6, 64)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Images of 24 x 32 pixels; classes are square (11), bar (12) and blob (15).

    Image i has a white square at column 2 i; image 3 has a bar too. A blob is never there, which
    is verified in all but image 3, and squares are not exhaustive in image 1.
    """
    folder = tmp_path_factory.mktemp("images")
    rows, annotations = [], []
    for number in range(4):
        pixels = np.full((24, 32, 3), 40, np.uint8)
        x = 2 * number
        pixels[4:12, x : x + 8] = 255
        ring = [x, 4, x + 8, 4, x + 8, 12, x, 12]
        annotations.append(LvisAnnotation(10 + number, 100 + number, 11, [ring], 64, (x, 4, 8, 8)))
        Image.fromarray(pixels).save(folder / f"{number}.png")
        negative = (15,) if number < 3 else ()
        incomplete = (11,) if number == 1 else ()
        rows.append(LvisImage(100 + number, f"{number}.png", 24, 32, negative, incomplete))
    bar = [12, 16, 28, 16, 28, 20, 12, 20]
    annotations.append(LvisAnnotation(20, 103, 12, [bar], 64, (12, 16, 16, 4)))
    names = {11: "square", 12: "bar", 15: "blob"}
    categories = tuple(LvisCategory(one, name, "r") for one, name in names.items())
    return ImageSet(LvisData(tuple(rows), categories, tuple(annotations)), Path(folder))


@pytest.fixture
def make_network() -> Callable[..., InstanceNetwork]:
    """Makes a small network with the same weights each time."""

    def make(n_classes: int = 3) -> InstanceNetwork:
        torch.manual_seed(0)
        return InstanceNetwork(n_classes, TINY)

    return make


class Told(InstanceNetwork):
    """A network that says what it is told, of every image."""

    def __init__(self, class_logits: Tensor, mask_logits: Tensor, features: Tensor) -> None:
        nn.Module.__init__(self)
        self.n_classes, self.sizes = class_logits.shape[-1] - 1, NetworkSizes(32)
        self.weight = nn.Parameter(torch.zeros(1))
        self.told = InstanceOutputs(
            LayerOutputs(class_logits[None], mask_logits[None]), [], features[None]
        )

    def forward(self, images: Tensor) -> InstanceOutputs:
        return self.told


@pytest.fixture
def told() -> type[Told]:
    return Told
