"""Arrays of scenes in a folder, a file a scene."""

from collections.abc import Collection
from pathlib import Path

import numpy as np


def scene_file(folder: Path, name: str) -> Path:
    """The file of a scene; `area/room` lies in a folder of its own.

    Raises:
        ValueError: if the name would leave the folder, or is hidden.

    Example:
        >>> scene_file(Path("labels"), "area/room").as_posix()
        'labels/area/room.npz'
    """
    parts = name.split("/")
    if "\\" in name or any(part == "" or part.startswith(".") for part in parts):
        raise ValueError(f"name must be a path below {folder}, nothing hidden, got {name!r}")
    return folder.joinpath(*parts[:-1], f"{parts[-1]}.npz")


def read_arrays(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names in a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or lacks one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file raises anything
        wanted = ", ".join(names)
        raise ValueError(f"must be a whole file of {wanted}, got: {error!r}") from error
