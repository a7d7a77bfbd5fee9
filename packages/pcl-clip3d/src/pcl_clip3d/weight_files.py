"""Weights of networks from files, read without running anything that a file says."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of safetensors, or of a PyTorch checkpoint, by name.

    A checkpoint may be a state dict or hold one as `state_dict`; the `module.` that data-parallel
    training puts before the names is taken off.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it holds anything but tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file of weights, got {path}, which does not exist")
    try:
        found = _load(path)
        found = found.get("state_dict", found)
        others = [name for name, value in found.items() if not isinstance(value, Tensor)]
        if others:
            raise ValueError(f"no tensor at {others[0]!r}")
    except Exception as error:  # each format has its own
        message = f"{path} must be a file of weights (safetensors, or a state dict), got: {error}"
        raise ValueError(message) from error
    return {name.removeprefix("module."): value for name, value in found.items()}


def fill_weights(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a model with tensors of a file: all of the model's and no others.

    Raises:
        ValueError: naming the file and the first tensor that does not fit.
    """
    rule = f"{path} must hold the weights of this architecture"
    wanted = model.state_dict()
    for name, values in wanted.items():
        if name not in tensors:
            raise ValueError(f"{rule}, got no {name}")
        if tensors[name].shape != values.shape:
            found, place = tuple(tensors[name].shape), tuple(values.shape)
            raise ValueError(f"{rule}, got {name} of {found} in the place of {place}")
    further = sorted(set(tensors) - set(wanted))
    if further:
        raise ValueError(f"{rule}, got also {further[0]}")
    model.load_state_dict(dict(tensors))


def check_finite(model: nn.Module) -> None:
    """Return quietly if all weights are finite.

    Raises:
        ValueError: naming the first that is not.
    """
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not values.isfinite().all():
            raise ValueError(f"model must have finite weights, got NaN or infinity in {name}")


def _load(path: Path) -> dict:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
