"""Jobs in parallel processes."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def run_each(
    job: Callable[[int], Result], numbers: Sequence[int], n_workers: int
) -> Iterator[tuple[int, Result]]:
    """Each number with the result of the job for it, as they are done.

    A failing job ends the iteration with its error; jobs that have not begun are dropped.

    Args:
        job: a function that processes can be sent, if there are several.
        numbers: what to call it with.
        n_workers: processes; with one, the jobs run in this process, in order. A script that asks
            for more must do so below `if __name__ == "__main__":`, as each process imports it.

    Raises:
        ValueError: if `n_workers` is below 1.

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
    with _one_thread_each(), pool:
        with _no_interrupt():
            waiting = {pool.submit(job, number): number for number in numbers}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


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
