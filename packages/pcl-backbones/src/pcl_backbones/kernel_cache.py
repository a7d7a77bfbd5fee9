"""Machine code that numba and Triton keep on disk between processes, where there is a place."""

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

Compiled = TypeVar("Compiled")


def compiled_once(build: Callable[[bool], Compiled]) -> Compiled:
    """What `build(cache)` compiles, with numba's cache where a folder for it can be written.

    The folder is `__pycache__` beside the source or one in the user's home. Where there is neither,
    a warning says so once, and each process compiles anew.
    """
    if _home_is_known():
        try:
            return build(True)
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
    _warn()
    return build(False)


def place_for_triton() -> None:
    """Let Triton, which needs a folder, use a temporary one where the home cannot be written."""
    home = os.path.expanduser("~")
    if "TRITON_CACHE_DIR" in os.environ or (os.path.isabs(home) and os.access(home, os.W_OK)):
        return
    folder = tempfile.mkdtemp(prefix="triton-")
    os.environ["TRITON_CACHE_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _warn()


def _home_is_known() -> bool:
    """Without a home numba would make a folder called `~`."""
    places = (os.environ.get("NUMBA_CACHE_DIR", ""), os.path.expanduser("~"))
    return any(os.path.isabs(place) for place in places)


@cache
def _warn() -> None:
    warnings.warn(
        "no folder for compiled code can be written, so each process compiles its own (seconds): "
        "NUMBA_CACHE_DIR and TRITON_CACHE_DIR may name one",
        stacklevel=3,
    )
