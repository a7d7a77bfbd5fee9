"""Files that are written whole or not at all: temporary name, fsync, rename.

Plain files and renames are all that a file system needs: no links, and no fsync where it has none.
"""

import errno
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]+\.tmp")  # what a killed writer leaves behind
# What file systems answer that cannot do a thing at all (exFAT, SMB, FUSE).
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def temporary_name(path: Path) -> Path:
    """A fresh hidden name beside `path`, on the same file system."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def is_leftover(path: Path) -> bool:
    """Whether `temporary_name`, or a library's like it, made this name."""
    return _LEFTOVER.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left in a folder and below, as far as that is permitted."""
    for path in [path for path in folder.rglob(".*.tmp") if is_leftover(path)]:
        remove(path)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it, as far as that is permitted; a link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def must_be_new(path: Path, overwrite: bool) -> None:
    """Return quietly if nothing would be written over, or that is wanted.

    Raises:
        ValueError: if there is something at `path` and `overwrite` is False.
    """
    if not overwrite and os.path.lexists(path):
        raise ValueError(
            f"{path} is there already: give --overwrite to replace it, or another name"
        )


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A handle whose content appears at `path` when the block ends, and only if it succeeds.

    Args:
        path: the final file; its folder must exist.
        mode: "w" (UTF-8 text) or "wb".

    Raises:
        OSError: naming the file, if it cannot be written; what was there before is untouched.

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
            _sync(handle.fileno())
        replace(temporary, path)
    except BaseException as error:
        remove(temporary)
        # write and fsync know no name
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync_folder(path.parent)


def replace(source: Path, target: Path) -> None:
    """Rename a file over another; where the file system cannot, once the other is out of the way.

    Raises:
        OSError: if it cannot be renamed; then `target` is what it was.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        blocked = (*_UNSUPPORTED, errno.EPERM, errno.EEXIST)
        if error.errno not in blocked or not target.is_file():
            raise
        aside = temporary_name(target)
        target.rename(aside)
        try:
            source.rename(target)
        except OSError:
            aside.rename(target)
            raise
        remove(aside)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, where the system can.

    Windows opens no folders, and many file systems sync none: the files are whole there too.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all, in the types of `jsonable`.

    Raises:
        TypeError: if a value has no JSON form.
    """
    text = json.dumps(jsonable(value), indent=2, allow_nan=False)
    with atomic_write(path) as handle:
        handle.write(text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no JSON or holds no object.
    """
    content = path.read_bytes()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is damaged, or no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: must hold an object, got {type(value).__name__}")
    return value


def jsonable(value: Any) -> Any:
    """The value in JSON's types: scalar tensors and arrays as numbers, paths as text.

    Numbers that are not finite ("there is none") become None, as JSON has none of them.

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
    return None if isinstance(value, float) and not math.isfinite(value) else value
