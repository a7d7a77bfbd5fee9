"""One writer for a folder: a lock that ends with its process, however that ends."""

import errno
import os
import socket
import sys
import warnings
import weakref
from pathlib import Path
from typing import IO

FILE = ".lock"
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_FAR = 2**30  # the locked byte on Windows, where what is locked cannot be read

_locks: weakref.WeakValueDictionary[tuple[int, Path], "FolderLock"] = weakref.WeakValueDictionary()


class FolderLock:
    """A lock of a folder that this process holds for as long as somebody keeps this object.

    Get one with `lock_folder`.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        weakref.finalize(self, file.close)


def lock_folder(folder: Path) -> FolderLock:
    """Lock a folder that exists; within one process any number of times.

    The lock is the system's, on the file `.lock`, so that no killed process keeps it; who holds
    it stands in the file. Where the file system has no locks, a warning says so.

    Raises:
        ValueError: if another process holds it: which.
        OSError: if the folder takes no file.
    """
    key = os.getpid(), folder.resolve()
    held = _locks.get(key)
    if held is not None:
        return held
    path = folder / FILE
    file = path.open("a+", encoding="utf-8")
    try:
        _take(file)
    except OSError as error:
        if error.errno in _HELD:
            holder = _holder(file)
            file.close()
            raise ValueError(f"{folder} is being written by {holder}: wait, or stop it") from None
        reason = error.strerror or error
        warnings.warn(
            f"{folder} cannot be locked ({reason}): see to it that one process writes there",
            stacklevel=2,
        )
    else:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
    lock = FolderLock(file)
    _locks[key] = lock
    return lock


def _take(file: IO[str]) -> None:
    """Lock without waiting.

    On POSIX the lock is of the process and not of the handle, so that processes that it starts,
    and that outlive it, do not keep it.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read(200).strip() or "another process"
