"""Libraries that import torchvision, also beside one whose compiled operators cannot load."""

import functools
from importlib import import_module
from types import ModuleType

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def import_with_torchvision(name: str, extra: str) -> ModuleType:
    """A module that imports torchvision but needs none of its operators.

    A torchvision that was built for another torch, as the one of PyPI beside a torch for CPUs,
    fails at import because it describes operators that do not exist: their schemas are defined and
    the import goes on. A torchvision that imports is left as it is.

    Args:
        name: of the module.
        extra: what installs it, for the message.

    Raises:
        ImportError: if it cannot be imported.

    Example:
        >>> import_with_torchvision("open_clip", "pcl-clip3d[clip]").__name__
        'open_clip'
    """
    try:
        import_module("torchvision")
    except ImportError:
        pass  # told below, if the module lacks it
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _define_operators()
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} must be installed (pip install {extra}), got: {error}"
        ) from error


@functools.cache  # torch forgets schemas when the library that holds them is deleted
def _define_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for schema in _OPERATORS:
        library.define(schema)
    return library
