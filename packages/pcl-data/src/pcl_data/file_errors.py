"""Errors of broken files: one `ValueError` that names the file and the rule."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turn whatever a parsing library raises on a broken file into one `ValueError`.

    Only missing files and missing permissions pass unchanged.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except BaseException as error:
        # A panic of a library written in Rust (lazrs) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"must be a complete {what} file, got: {reason}") from error


@contextmanager
def errors_in(path: str | os.PathLike[str]) -> Iterator[None]:
    """Begin the message of a `ValueError` with the file that it is about.

    A folder where the file should be is a `ValueError` too.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except IsADirectoryError as error:
        raise ValueError(f"{path}: must be a file, got a folder") from error
