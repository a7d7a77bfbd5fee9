"""Weights in safetensors files, with a card that says what they are. Never a pickle."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pcl_backbones.atomic_files import whole_file

_CARD = "card"
Read = TypeVar("Read")


def save_weights(model: nn.Module, path: str | Path, card: Mapping[str, Any] | None = None) -> None:
    """Write every parameter and buffer, whole or not at all (temporary name, fsync, rename).

    The file has the mode of any new file. What killed writers of it left beside it is removed.

    Args:
        model: whose `state_dict` to write.
        path: of the file; its folder exists.
        card: what a reader should know (network, data, licence), of JSON values; NaN and
            infinities become null.

    Raises:
        ValueError: if the card is not JSON.
        OSError: if the file cannot be written.

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
        text = json.dumps(_parsed(json.dumps(dict(card or {}))))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"card must hold JSON values, got others: {_short(error)}") from error
    # copies, because tied weights share memory and a file must not
    state = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
    with whole_file(Path(path)) as file:
        file.write(save(state, metadata={_CARD: text}))


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Copy a file's weights into the model, and return the card.

    Names and shapes must agree exactly; a model that does not fit is left as it was.

    Raises:
        ValueError: if the file is missing or no safetensors file, or names or shapes differ.
    """
    card = read_card(path)
    stored = read_tensors(path)
    _check_fit(model.state_dict(), stored, path)
    model.load_state_dict(stored)
    return card


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a weights file; empty if it has none. NaN and infinities in it are None.

    Raises:
        ValueError: if the file is missing, cannot be read, is damaged or no safetensors file, or
            its card is no JSON object.
    """

    def read() -> dict[str, Any]:
        with safe_open(path, framework="pt") as file:
            card = _parsed((file.metadata() or {}).get(_CARD, "{}"))
        if not isinstance(card, dict):
            raise ValueError(f"its card must be a JSON object, got {_short(card)}")
        return card

    return _of_file(path, read)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file, by name.

    Raises:
        ValueError: if the file is missing, cannot be read, is damaged or no safetensors file.
    """
    return _of_file(path, lambda: load_file(path))


def _of_file(path: str | Path, read: Callable[[], Read]) -> Read:
    try:
        with Path(path).open("rb"):  # safetensors calls a file missing that may not be read
            return read()
    except Exception as error:  # a damaged file raises anything
        raise ValueError(
            f"path must name a safetensors file, got {path}: {_short(error)}"
        ) from error


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None)


def _short(value: Any) -> str:
    """Its text, cut where a damaged file has made it long."""
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


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
