"""Files and folders that are there whole or not at all, after a crash too.

Plain files, plain names and renames alone are needed of a file system: no links, no locks.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.tmp")
# What file systems say that cannot flush at all; another error means that the data may be lost.
_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place once it is complete and on the disk.

    A file that is there already is replaced; if the block raises, it stays as it was.

    Raises:
        OSError: naming the file that cannot be written.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        with flushed_file(temporary) as file:
            yield file
        temporary.replace(path)
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def flushed_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file, on the disk at the end of the block; for files of a `whole_folder`.

    Raises:
        OSError: naming the file that cannot be written.
    """
    try:
        with Path(path).open("xb") as file:
            yield file
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _NO_FLUSH:
                    raise
    except OSError as error:  # of write and fsync: they know no name
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as `whole_file` does; its folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder beside `path` that takes its name once the block is done.

    Parents are made. The block writes its files with `flushed_file`.

    Raises:
        FileExistsError: if `path` exists.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"path must not exist yet, got {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        flush_folder(temporary)
        temporary.rename(path)
        flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Put the names in a folder on the disk, where the system can.

    Windows opens no folders, and many file systems flush none (exFAT, SMB, FUSE): there the names
    reach the disk when the system likes, and the files hold what they should.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def leftovers(folder: str | os.PathLike[str]) -> Iterator[tuple[str, Path]]:
    """What a killed process, or one that still writes, has in a folder: final name and path."""
    for path in Path(folder).iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match:
            yield match["name"], path


def remove_leftover(path: Path) -> None:
    """Delete one of `leftovers`, as far as that is permitted."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex}.tmp")
