"""Loops as machine code, which numba keeps on disk between processes where there is a place."""

import os
import warnings
from collections.abc import Callable
from functools import cache
from inspect import unwrap

from numba import njit


def compiled(function: Callable) -> Callable:
    """The function as machine code, without what a type checker has wrapped around it.

    The place is `__pycache__` beside the source or a folder in the user's home. Where there is
    neither, a warning says so once, and each process compiles anew.
    """
    if _home_is_known():
        try:
            return njit(nogil=True, cache=True)(unwrap(function))
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
    _warn()
    return njit(nogil=True)(unwrap(function))


def _home_is_known() -> bool:
    """Without a home numba would make a folder called `~`."""
    places = (os.environ.get("NUMBA_CACHE_DIR", ""), os.path.expanduser("~"))
    return any(os.path.isabs(place) for place in places)


@cache
def _warn() -> None:
    warnings.warn(
        "no folder for compiled code can be written, so each process compiles its own (seconds): "
        "NUMBA_CACHE_DIR may name one",
        stacklevel=3,
    )
