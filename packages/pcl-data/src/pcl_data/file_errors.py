"""Errors of broken files: one `ValueError` that names the file and the rule."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST = 500  # characters of what a library says: it may repeat what is in the file


class NeedsOption(ValueError):  # noqa: N818
    """Data that an option would let through.

    Args:
        problem: what is wrong with them.
        option: the option with its value, as in `drop_invalid=true`.
        effect: what the option does, as in "leaves them out".

    Example:
        >>> error = NeedsOption(
        ...     "points must be finite", "drop_invalid=true", "leaves them out"
        ... )
        >>> str(error)
        'points must be finite; drop_invalid=true leaves them out'
        >>> error.given_as("--option {}")
        'points must be finite; --option drop_invalid=true leaves them out'
    """

    def __init__(self, problem: str, option: str, effect: str) -> None:
        super().__init__(problem, option, effect)
        self.problem, self.option, self.effect = problem, option, effect

    def __str__(self) -> str:
        return self.given_as("{}")

    def given_as(self, form: str) -> str:
        """The message with the option as a command takes it, as in `data.options.{}`."""
        return f"{self.problem}; {form.format(self.option)} {self.effect}"


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turn whatever a parsing library raises on a broken file into one `ValueError`.

    Only missing files, missing permissions and `NeedsOption` pass unchanged.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, NeedsOption):
        raise
    except BaseException as error:
        # A panic of a library written in Rust (lazrs) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().split("\n")[0][:_LONGEST] or type(error).__name__
        raise ValueError(f"must be a complete {what} file, got: {reason}") from error


@contextmanager
def errors_in(path: str | os.PathLike[str]) -> Iterator[None]:
    """Begin the message of a `ValueError` with the file that it is about.

    A folder where the file should be is a `ValueError` too, and `NeedsOption` stays one.
    """
    try:
        yield
    except NeedsOption as error:
        raise NeedsOption(f"{path}: {error.problem}", error.option, error.effect) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except IsADirectoryError as error:
        raise ValueError(f"{path}: must be a file, got a folder") from error


def warn_about(path: str | os.PathLike[str], message: str) -> None:
    """Warn of what a file holds, in a line that begins with its name."""
    warnings.warn(f"{path}: {message}", stacklevel=3)
