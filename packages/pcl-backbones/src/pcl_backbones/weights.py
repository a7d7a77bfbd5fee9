"""Weights on disk: safetensors with a card, never a pickle."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

CARD_KEY = "card"


def save_weights(
    model: nn.Module, path: str | Path, *, card: Mapping[str, Any] | None = None
) -> None:
    """Write the weights of a model, whole or not at all.

    Args:
        model: whose state is written.
        path: a `.safetensors` file; one that exists is replaced.
        card: JSON facts that a user of the weights needs (classes, voxel size, licence).
    """
    path = Path(path)
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
    }
    content = save(tensors, metadata={CARD_KEY: json.dumps(dict(card or {}))})
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a weights file.

    Raises:
        ValueError: if the file is missing, damaged, or no safetensors file.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            return json.loads((file.metadata() or {}).get(CARD_KEY, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"path must be a safetensors file, got {path} ({error})") from None


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load weights that fit the model exactly, and return their card.

    Raises:
        ValueError: if the file is unreadable, or a tensor is missing, left over or of another
            shape; the model is unchanged then.
    """
    card = read_card(path)
    tensors, expected = load_file(str(path)), model.state_dict()
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    problems = {
        "missing": sorted(expected.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - expected.keys()),
        "of another shape": shapes,
    }
    found = [
        f"{len(names)} {kind} ({', '.join(names[:3])})" for kind, names in problems.items() if names
    ]
    if found:
        raise ValueError(f"weights must fit the model, got {path}: {'; '.join(found)}")
    model.load_state_dict(tensors)
    return card
