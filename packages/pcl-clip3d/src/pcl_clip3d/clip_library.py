"""open_clip, which the extra `[clip]` of this package installs."""

import functools
from importlib import import_module
from types import ModuleType

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def import_open_clip() -> ModuleType:
    """The module open_clip, also beside a torchvision whose compiled operators cannot load.

    open_clip needs torchvision. One that was built for another torch, as the one of PyPI beside a
    torch for CPUs, fails at import because it describes operators that do not exist. Nothing here
    calls them: their schemas are defined and the import goes on. A torchvision that imports is
    left as it is.

    Raises:
        ImportError: if open_clip cannot be imported; the message names the extra.

    Example:
        >>> import_open_clip().__name__
        'open_clip'
    """
    try:
        import_module("torchvision")
    except ImportError:
        pass  # told below, as part of what open_clip lacks
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _define_operators()
    try:
        return import_module("open_clip")
    except ImportError as error:
        message = f"open_clip must be installed (pip install pcl-clip3d[clip]), got: {error}"
        raise ImportError(message) from error


@functools.cache  # torch forgets schemas when the library that holds them is deleted
def _define_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for schema in _OPERATORS:
        library.define(schema)
    return library
