"""Small random models of open_clip for the tests of this package."""

import pytest
import torch
from torch import nn

from pcl_clip3d.clip_library import import_open_clip

TEXT = {"layers": 1, "width": 64, "heads": 1, "vocab_size": 16, "context_length": 8}
VIT = {"layers": 3, "width": 64, "head_width": 16, "patch_size": 8, "image_size": 32}
RESNET = {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32, "image_size": 64}


def build_clip(vision: dict | None = None, **arguments) -> nn.Module:
    """A model with weights of one seed; of a vision transformer, but for what `vision` says."""
    torch.manual_seed(0)
    model = import_open_clip().CLIP(24, {**VIT, **(vision or {})}, TEXT, **arguments).eval()
    with torch.no_grad():  # so that no norm, bias or token is what a wrong path would also have
        for name, values in model.named_parameters():
            if name.endswith(
                ("bias", "ln_1.weight", "ln_2.weight", "ln_post.weight", "bn3.weight")
            ):
                values.add_(0.3 * torch.randn_like(values))
    return model


@pytest.fixture(scope="session")
def build():
    """The function that builds a small CLIP."""
    return build_clip


@pytest.fixture(scope="session")
def vit() -> nn.Module:
    return build_clip()


@pytest.fixture(scope="session")
def resnet() -> nn.Module:
    return build_clip({**RESNET, "patch_size": None})


@pytest.fixture(scope="session")
def photo() -> torch.Tensor:
    """40 x 56 random pixels."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (40, 56, 3), dtype=torch.uint8, generator=generator)
