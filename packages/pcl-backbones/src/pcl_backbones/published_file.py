"""The tensors in a weights file of someone else, which may be damaged or hostile."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from pcl_backbones.weights import read_tensors

_NESTED = ("state_dict", "model_state_dict", "model_state", "model")


def read_published(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; nothing is unpickled but plain containers and tensors.

    Raises:
        ValueError: if the file is missing, cannot be read, is damaged or no such file, needs code
            to be read, or claims more than it holds.
    """
    tensors = read_tensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    size = path.stat().st_size
    for name, value in tensors.items():
        is_plain = value.layout == torch.strided and value.device.type == "cpu"
        if not is_plain or value.is_quantized or value.is_complex():
            raise ValueError(f"{path} must hold plain tensors only, got {name} of {value.dtype}")
        if value.numel() * value.element_size() > size:  # one number shown many times
            raise ValueError(f"{path} must hold all of its tensors, got {name} with {value.shape}")
    return tensors


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            _check_records(file)
            content = torch.load(file, map_location="cpu", weights_only=True)
        tensors = _tensors(content)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} must hold plain tensors only, got objects that need code to be read: save "
            f"its state_dict alone where you trust it ({_first_line(error)})"
        ) from error
    except Exception as error:  # a damaged file raises anything
        problem = _first_line(error)
        raise ValueError(f"path must name a weights file, got {path}: {problem}") from error
    if not tensors:
        raise ValueError(f"{path} must hold a state_dict, got {type(content).__name__}")
    return tensors


def _check_records(file: BinaryIO) -> None:
    """Refuse a zip file whose records would take more memory than the file: torch packs none."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as records:
            claimed = sum(record.file_size for record in records.infolist())
        size = file.seek(0, os.SEEK_END)
        if claimed > size:
            raise ValueError(f"its records must fit in its {size} bytes, got {claimed}")
    file.seek(0)


def _tensors(content: Any) -> dict[str, Tensor]:
    """The state_dict of a checkpoint: itself, or under one of the usual names."""
    if not isinstance(content, Mapping):
        return {}
    for name in _NESTED:
        if isinstance(content.get(name), Mapping):
            return _tensors(content[name])
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
