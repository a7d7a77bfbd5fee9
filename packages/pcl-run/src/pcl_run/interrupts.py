"""SIGINT and SIGTERM: finish the step, write a checkpoint, leave with exit code 130."""

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

    Example:
        >>> with interruptible() as stop:
        ...     stop.requested
        False
    """
    stop = StopRequest()

    def handler(number: int, frame: FrameType | None) -> None:
        if stop.requested and number == signal.SIGINT:
            raise Interrupted
        stop.requested = True

    with handled(handler):
        yield stop
