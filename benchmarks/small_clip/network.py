"""The small network: two towers of open_clip, and the folder that holds a trained one."""

import json
from pathlib import Path
from typing import Any

import torch
from captions import CONTEXT_LENGTH, vocabulary
from safetensors.torch import save_file
from torch import nn

from pcl_clip3d.clip_library import import_open_clip
from pcl_clip3d.word_tokenizer import WordTokenizer

IMAGE_SIZE, PATCH = 64, 8  # pixels along a crop in training, and along a patch of it
MEAN, STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)  # about those of CLIP


def tokenizer() -> WordTokenizer:
    """The words of all captions."""
    return WordTokenizer(vocabulary(), CONTEXT_LENGTH)


def model_config(width: int, layers: int) -> dict[str, Any]:
    """Settings of `open_clip.CLIP`; an image is the mean of its patches.

    Args:
        width: of the image tower.
        layers: of the image tower.
    """
    return {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH,
            "layers": layers,
            "width": width,
            "head_width": 32,
            "pool_type": "avg",
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": tokenizer().vocab_size,
            "width": 128,
            "heads": 4,
            "layers": 2,
        },
    }


def build(config: dict[str, Any]) -> nn.Module:
    """A new network with random weights."""
    return import_open_clip().CLIP(**config)


def write_folder(folder: Path, config: dict[str, Any], model: nn.Module) -> None:
    """Write what `DenseClip.load` reads; weights are kept in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    tokenizer().save(folder / "vocabulary.json")
    weights = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")


def normalized(images: torch.Tensor) -> torch.Tensor:
    """Images (b, 3, h, w) of uint8 as the network takes them."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (MEAN, STD))
    return (images.float() / 255 - mean) / std
