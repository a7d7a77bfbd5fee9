"""SIGINT and SIGTERM: leave at once with exit code 130, but finish what must not be cut in two.

Every file appears whole or not at all, so a command may be left at any moment, and outside of
`interruptible` a signal raises `Interrupted` there and then (`pcl_run.cli.boundary`). Inside it
only the parts in `StopRequest.at_once` are left at once; the others, the steps of a training, end
first.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop; what it had done is in its last checkpoint."""


@dataclass
class StopRequest:
    """Whether somebody asked the process to stop."""

    requested: bool = False
    is_immediate: bool = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In the block a request raises `Interrupted` at once, and so does one that came before."""
        try:
            self.is_immediate = True
            self.raise_if_requested()
            yield
        finally:
            self.is_immediate = False

    def raise_if_requested(self) -> None:
        """Raise `Interrupted` if there is a request."""
        if self.requested:
            raise Interrupted("interrupted")

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Of a signal."""
        is_second = self.requested and number == signal.SIGINT
        self.requested = True
        if self.is_immediate or is_second:
            self.is_immediate = False
            self.raise_if_requested()


@contextmanager
def handled(handler: Any, signals: tuple[signal.Signals, ...] = SIGNALS) -> Iterator[None]:
    """The block runs with `handler`; the previous handlers come back after it.

    Python sets handlers in the main thread only: elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {one: signal.signal(one, handler) for one in signals}
    try:
        yield
    finally:
        for one, old in previous.items():
            signal.signal(one, signal.SIG_DFL if old is None else old)


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """A request that SIGINT or SIGTERM sets inside the block; a second SIGINT interrupts at once.

    Raises:
        Interrupted: at the end of the block, if a request has not ended it before.

    Example:
        >>> with interruptible() as stop:
        ...     stop.requested
        False
    """
    stop = StopRequest()
    with handled(stop.handle):
        yield stop
    stop.raise_if_requested()
