"""Transformers, also beside a torchvision that does not fit torch."""

import functools
from importlib import import_module
from types import ModuleType

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def import_transformers() -> ModuleType:
    """The library, with Mask2Former loaded.

    Mask2Former needs no torchvision, but transformers imports one that is there. A torchvision
    built for another torch, as that of PyPI beside a torch for CPUs, describes operators that do
    not exist, and fails: as for `open_clip` (`pcl_clip3d`), their schemas are defined and the
    import goes on.

    Raises:
        ImportError: if transformers is missing, and how to install it.

    Example:
        >>> import pytest
        >>> _ = pytest.importorskip("transformers", reason="the extra `images` is not installed")
        >>> import_transformers().__name__
        'transformers'
    """
    try:
        import_module("torchvision")
    except ImportError:
        pass
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _define_operators()
    try:
        library = import_module("transformers")
        _ = library.Mask2FormerForUniversalSegmentation  # loads it
    except ImportError as error:
        message = "transformers must be installed (pip install pcl-methods[images]), got: "
        raise ImportError(message + str(error)) from error
    return library


@functools.cache  # torch forgets schemas when the library that holds them is deleted
def _define_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for schema in _OPERATORS:
        library.define(schema)
    return library
