"""Jobs in parallel processes."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from types import FrameType
from typing import Generic, TypeVar

Result = TypeVar("Result")


def run_each(
    job: Callable[[int], Result], numbers: Sequence[int], n_workers: int
) -> Iterator[tuple[int, Result]]:
    """Each number with the result of the job for it, as they are done.

    A failing job ends the iteration with its error, and so does whoever iterates, with an error or
    an interrupt: jobs that have not begun are dropped, and the others are interrupted.

    Args:
        job: a function that processes can be sent, if there are several.
        numbers: what to call it with.
        n_workers: processes; with one, the jobs run in this process, in order. A script that asks
            for more must do so below `if __name__ == "__main__":`, as each process imports it.

    Raises:
        ValueError: if `n_workers` is below 1.
        BrokenProcessPool: (a RuntimeError) if a process was killed.

    Example:
        >>> dict(run_each(abs, [-1, -2], 1))
        {-1: 1, -2: 2}
    """
    if n_workers < 1:
        raise ValueError(f"n_workers must be at least 1, got {n_workers}")
    if n_workers == 1 or len(numbers) < 2:
        for number in numbers:
            yield number, job(number)
        return
    pool = ProcessPoolExecutor(
        n_workers, mp_context=get_context("spawn"), initializer=_end_with_parent
    )
    others = set(active_children())
    with _one_thread_each():
        with _no_interrupt():
            waiting = {pool.submit(_Job(job), number): number for number in numbers}
        workers = [one for one in active_children() if one not in others]
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            _end(workers)
            if isinstance(error, BrokenProcessPool):
                raise BrokenProcessPool(_death(workers)) from None
            raise
        finally:
            pool.shutdown()


@dataclass(frozen=True)
class _Job(Generic[Result]):
    """A job that SIGTERM interrupts, so that it removes what it has half written."""

    job: Callable[[int], Result]

    def __call__(self, number: int) -> Result:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return self.job(number)
        except KeyboardInterrupt:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
            raise
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt("interrupted")


def _death(workers: list[BaseProcess]) -> str:
    """Which process died, and how: the pool has terminated those beside it."""
    ended = [(one.pid, one.exitcode) for one in workers if one.exitcode]
    ended.sort(key=lambda pair: pair[1] == -signal.SIGTERM)
    pid, code = ended[0] if ended else (None, None)
    how = f"ended with exit code {code}"
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    return (
        f"process {pid} (one of {len(workers)} in parallel) {how}; memory is the usual cause: "
        "fewer processes need less"
    )


def _end(workers: list[BaseProcess]) -> None:
    """Give them three seconds to leave the job that they are at."""
    for ask in (BaseProcess.terminate, BaseProcess.kill):
        for one in workers:
            if one.is_alive():
                ask(one)
        deadline = time.monotonic() + 3
        for one in workers:
            one.join(max(deadline - time.monotonic(), 0))


def _end_with_parent() -> None:
    """Leave when the parent is gone, killed ones too: a worker would wait for jobs for ever."""
    parent = parent_process()
    assert parent is not None  # called in workers alone

    def leave() -> None:
        parent.join()
        os._exit(1)

    Thread(target=leave, daemon=True).start()


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes started inside never see SIGINT, which a terminal sends to all: the parent acts.

    Windows has no such masks, and its workers print their own traces.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside use one BLAS thread each; numpy reads it when it is imported."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
