"""Jobs in parallel processes."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


def run_each(job: Callable[[int], None], numbers: Sequence[int], n_workers: int) -> None:
    """Call a job with each number, in `n_workers` processes.

    Raises:
        ValueError: if `n_workers` is below 1.
    """
    if n_workers < 1:
        raise ValueError(f"n_workers must be at least 1, got {n_workers}")
    if n_workers == 1 or len(numbers) < 2:
        for number in numbers:
            job(number)
        return
    pool = ProcessPoolExecutor(n_workers, mp_context=get_context("spawn"))
    with _one_thread_each(), pool:
        list(pool.map(job, numbers))


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
