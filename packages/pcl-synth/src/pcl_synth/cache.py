"""Where generated worlds are kept."""

import os
import tempfile
import warnings
from os import PathLike
from pathlib import Path

from platformdirs import user_cache_dir


def cache_folder(given: str | PathLike[str] | None) -> Path:
    """The folder that was given, that of the user, or a temporary one where none can be written.

    Args:
        given: taken as it is; None for the user's, `pcl-data` in that of all caches.
    """
    if given is not None:
        return Path(given)
    own = Path(user_cache_dir("pcl-data"))  # without a home it starts with `~`
    if own.is_absolute() and _can_be_made(own):
        return own
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    other = Path(tempfile.gettempdir()) / f"pcl-data{user}"
    warnings.warn(
        f"generated scenes are kept in {other}, as {own} cannot be written: the option cache "
        "names another folder",
        stacklevel=3,
    )
    return other


def _can_be_made(folder: Path) -> bool:
    """Whether the first of its parents that is there may be written."""
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
