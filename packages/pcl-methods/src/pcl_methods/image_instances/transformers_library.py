"""Transformers, also beside a torchvision that does not fit torch; Mask2Former needs none."""

import sys
from types import ModuleType


def import_transformers() -> ModuleType:
    """The library, with Mask2Former and Swin loaded.

    A torchvision built for another torch (its wheels beside a torch for the CPU) raises when it is
    imported. Transformers is imported as if there were none then.

    Raises:
        ImportError: if transformers is missing, and how to install it.

    Example:
        >>> import pytest
        >>> _ = pytest.importorskip("transformers", reason="the extra `images` is not installed")
        >>> import_transformers().__name__
        'transformers'
    """
    is_hidden = not _torchvision_works()
    if is_hidden:
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # import and find_spec: none
    try:
        import transformers

        _ = transformers.Mask2FormerForUniversalSegmentation, transformers.SwinModel  # loads them
    except ImportError as error:
        message = "transformers must be installed (pip install pcl-methods[images]), got: "
        raise ImportError(message + str(error)) from error
    finally:
        if is_hidden:
            del sys.modules["torchvision"]
    return transformers


def _torchvision_works() -> bool:
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        return False
    except ImportError:
        pass
    return True
