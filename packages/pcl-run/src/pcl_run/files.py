"""Files that are written whole or not at all: temporary name, fsync, rename."""

import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LEFTOVER = ".*.tmp"  # what a killed writer leaves behind


def temporary_name(path: Path) -> Path:
    """A fresh hidden name beside `path`, on the same file system."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A handle whose content appears at `path` when the block ends, and only if it succeeds.

    Args:
        path: the final file; its folder must exist.
        mode: "w" (UTF-8 text) or "wb".

    Raises:
        OSError: if the file cannot be written; what was at `path` before is untouched.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_write(path) as handle:
        ...     _ = handle.write("whole")
        >>> path.read_text()
        'whole'
    """
    temporary = temporary_name(path)
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, where folders can be opened."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all; NaN ("there is none") becomes null.

    Raises:
        ValueError: if a number is infinite.
        TypeError: if a value has no JSON form.
    """
    text = json.dumps(jsonable(value), indent=2, allow_nan=False)
    with atomic_write(path) as handle:
        handle.write(text + "\n")


def jsonable(value: Any) -> Any:
    """The value in JSON's types: scalar tensors and arrays as numbers, paths as text, NaN as None.

    Example:
        >>> jsonable({"ap": float("nan"), "file": Path("a.ply")})
        {'ap': None, 'file': 'a.ply'}
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
