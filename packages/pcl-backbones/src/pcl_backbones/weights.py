"""Weights in safetensors files, with a card that says what they are. Never a pickle."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

_CARD = "card"


def save_weights(model: nn.Module, path: str | Path, card: Mapping[str, Any] | None = None) -> None:
    """Write every parameter and buffer, whole or not at all (temporary name, fsync, rename).

    Args:
        model: whose `state_dict` to write.
        path: of the file; its folder exists.
        card: what a reader should know (network, data, licence), of JSON values.

    Raises:
        ValueError: if the card is not JSON.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(
        ...         nn.Linear(2, 1), f"{folder}/a.safetensors", {"network": "linear"}
        ...     )
        ...     load_weights(nn.Linear(2, 1), f"{folder}/a.safetensors")
        {'network': 'linear'}
    """
    try:
        text = json.dumps(dict(card or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"card must hold JSON values, got {card!r}") from error
    # clones, because tied weights share memory and a file must not
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    _write_whole(Path(path), save(state, metadata={_CARD: text}))


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Copy a file's weights into the model, and return the card.

    Names and shapes must agree exactly; a model that does not fit is left as it was.

    Raises:
        ValueError: if the file is missing or no safetensors file, or names or shapes differ.
    """
    card = read_card(path)
    stored = load_file(path)
    _check_fit(model.state_dict(), stored, path)
    model.load_state_dict(stored)
    return card


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a weights file; empty if it has none.

    Raises:
        ValueError: if the file is missing, damaged, or no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {}).get(_CARD, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"path must name a safetensors file, got {path}: {error}") from error


def _check_fit(expected: Mapping[str, Tensor], stored: dict[str, Tensor], path: str | Path) -> None:
    both = sorted(expected.keys() & stored.keys())
    differing = [n for n in both if expected[n].shape != stored[n].shape]
    problems = {
        "missing": sorted(expected.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - expected.keys()),
        "mismatched": [
            f"{n} {tuple(stored[n].shape)} for {tuple(expected[n].shape)}" for n in differing
        ],
    }
    if any(problems.values()):
        found = [f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names]
        raise ValueError(f"weights in {path} must fit the model, got {'; '.join(found)}")


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
