"""Processes that train one network together: started, watched and ended as one.

The first process starts the others with its own command line. It alone speaks: the last words of
another one are kept, and said if its failure is the reason for the end. When the first process
ends, so do the others, killed or not.
"""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

MEMORY = "memory is the usual cause"
PEER = "PCL_RUN_PEER"  # set in the environment of all but the first
PATIENCE = 30.0  # seconds that the first process may wait for one that is dead
GONE = 5.0  # seconds within which a process is gone after its connections have broken

_peers: list["_Peer"] = []
_leaving, _needed = Event(), Event()


def how_it_ended(what: str, pid: int | None, code: int | None) -> str:
    """Process, signal or exit code, in words.

    Example:
        >>> how_it_ended("DataLoader worker", 7, -9)
        'process 7 (DataLoader worker) was killed by SIGKILL'
    """
    if code is None or code >= 0:
        return f"process {pid} ({what}) ended with exit code {code}"
    names = {int(one): one.name for one in signal.Signals}
    return f"process {pid} ({what}) was killed by {names.get(-code, f'signal {-code}')}"


def start_peers(n_devices: int) -> None:
    """Start the other processes of this machine, each with its LOCAL_RANK.

    The rest of their environment, MASTER_ADDR and so on, is that of this process.
    """
    program = _command()
    _leaving.clear()
    for rank in range(1, n_devices):
        environment = {**os.environ, "LOCAL_RANK": str(rank), PEER: str(os.getpid())}
        _peers.append(_Peer(rank, program, environment))
    atexit.register(end_peers, 5.0)


def is_peer() -> bool:
    """Whether the first process of a run has started this one."""
    return PEER in os.environ


def end_with_first() -> None:
    """Of a peer: leave as soon as the first process is gone, from whatever it is waiting for."""

    def leave() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    Thread(target=leave, daemon=True).start()


@contextmanager
def needed() -> Iterator[None]:
    """In the block the first process waits for the others: a dead one ends it after a while."""
    was_needed = _needed.is_set()
    _needed.set()
    try:
        yield
    finally:
        if not was_needed:
            _needed.clear()


def end_peers(patience: float) -> None:
    """Wait so many seconds for the others to end, then end them."""
    _leaving.set()
    _wait_for(lambda: all(one.process.poll() is not None for one in _peers), patience)
    for stop in (subprocess.Popen.terminate, subprocess.Popen.kill):
        for one in _peers:
            if one.process.poll() is None:
                stop(one.process)
        _wait_for(lambda: all(one.process.poll() is not None for one in _peers), 2.0)
    _peers.clear()


def casualty() -> tuple[str, int] | None:
    """What the first of the others that failed had to say, and the exit code; None if none has.

    Its connections break before it is gone: this waits for it.
    """
    failed = _wait_for(lambda: [one for one in _peers if one.code], GONE if _peers else 0.0)
    return failed[0].verdict() if failed else None


def lost_others(error: BaseException) -> bool:
    """Whether a call that needs all processes failed, as one of the others is gone."""
    if not isinstance(error, RuntimeError) or "torch" not in sys.modules:
        return False
    import torch.distributed as distributed

    words = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
    together = distributed.is_available() and distributed.is_initialized()
    return together and any(word in str(error) for word in words)


def from_first(make: Callable[[], T]) -> T:
    """What `make` returns in the first process, in all; or its error, in all."""
    import torch.distributed as distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return make()
    box: list = [None, None]
    if distributed.get_rank() == 0:
        try:
            box[0] = make()
        except Exception as error:
            box[1] = error
    with needed():
        distributed.broadcast_object_list(box)
    if box[1] is not None:
        raise box[1]
    return box[0]


class _Peer:
    """One of the others: its process, its last words and its exit code.

    Its standard input is open as long as the first process lives, and its standard output is a file
    without a name.
    """

    def __init__(self, rank: int, program: list[str], environment: dict[str, str]) -> None:
        self.rank, self.words, self.code = rank, "", 0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `_watch` closes it
        self.process = subprocess.Popen(
            program, env=environment, stdin=subprocess.PIPE, stdout=self._said
        )
        Thread(target=self._watch, daemon=True).start()

    def verdict(self) -> tuple[str, int]:
        """Its words and exit code, or how it was killed."""
        if self.words and self.code > 0:
            return self.words, self.code
        ended = how_it_ended(f"device {self.rank}", self.process.pid, self.code)
        return f"error: {ended}; {MEMORY}; --resume goes on", 1

    def _watch(self) -> None:
        code = self.process.wait()
        self._said.seek(0)
        self.words = self._said.read().decode(errors="replace").strip()
        self._said.close()
        self.code = code
        if code == 0:
            return
        _wait_for(lambda: not _needed.is_set() or _leaving.is_set(), PATIENCE)
        if _needed.is_set() and not _leaving.is_set():  # in a call that no error ends
            words, code = self.verdict()
            print(words, file=sys.stderr, flush=True)
            os._exit(code)


def _wait_for(condition: Callable[[], T], patience: float) -> T:
    """The condition, once it holds or so many seconds are over."""
    end = time.monotonic() + patience
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _command() -> list[str]:
    """The command line of this process."""
    spec = sys.modules["__main__"].__spec__
    program = [os.path.abspath(sys.argv[0])] if spec is None else ["-m", spec.name]
    return [sys.executable, *program, *sys.argv[1:]]
