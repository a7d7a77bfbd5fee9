"""Files and folders that are there whole or not at all, after a crash too."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place once it is complete and on the disk.

    A file that is there already is replaced; if the block raises, it stays as it was.
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
    """A new file, on the disk at the end of the block; for files of a `whole_folder`."""
    with Path(path).open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


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
    """Put the names in a folder on the disk, where the system opens folders: Windows does not."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex}.tmp")
