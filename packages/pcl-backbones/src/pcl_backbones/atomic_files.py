"""Files that are there whole or not at all, after a kill or a power cut too."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

# What file systems without fsync answer (FUSE, SMB): there is nothing more to be done for a file.
_NO_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path` once it is complete and on the disk.

    One that is there already is replaced; if the block raises, it stays as it was. Folders are
    not made. What killed writers of the same file left beside it is removed.

    Raises:
        OSError: if the file cannot be written.
    """
    remove_leftovers(path.parent.glob(f".{escape(path.name)}.*.tmp"))
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            can_lock = _lock(file)
            yield file
            file.flush()
            _flush(file.fileno())
            if can_lock:  # until it has its name
                temporary.replace(path)
        if not can_lock:  # Windows renames no open file
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def remove_leftovers(temporaries: Iterable[Path]) -> None:
    """Delete those of the temporary files of `whole_file` that no process writes any more."""
    for temporary in temporaries:
        with suppress(OSError):  # locked, or of someone else, or gone
            with temporary.open("r+b") as file:
                is_free = _lock(file) or os.name == "nt"  # where an open file is not deleted
            if is_free:
                temporary.unlink()


def flush_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, as far as its file system can: the files are whole."""
    with suppress(OSError, AttributeError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


def _lock(file: BinaryIO) -> bool:
    """Whether the file is now locked until it is closed or this process dies."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
