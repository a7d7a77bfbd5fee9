"""The batches of a stage, one a step, made beside the training by processes if it asks for them."""

import signal
import time
from multiprocessing import active_children
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pcl_run.cli import RunFailed
from pcl_run.interrupts import handled
from pcl_run.peers import MEMORY, how_it_ended

_SIGNS = (RuntimeError, OSError, EOFError)  # of a worker that is dead: of torch, of its pipe


class Feed:
    """Gives `batches[step]` for each step of a range; as a context it ends its workers.

    Args:
        batches: `batches[step]` depends on the step only.
        steps: in this order.
        n_workers: processes that make batches; with none they are made when asked for.
    """

    def __init__(self, batches: Dataset, steps: range, n_workers: int) -> None:
        self._loader = DataLoader(
            _Batches(batches),
            batch_size=None,
            sampler=steps,
            num_workers=n_workers if steps else 0,
            worker_init_fn=_start_worker,
            generator=torch.Generator(),  # else each loader would draw from the global one
        )
        self._workers: list[BaseProcess] = []
        self._iterator = None

    def __enter__(self) -> "Feed":
        others = set(active_children())
        self._iterator = iter(self._loader)
        self._workers = [one for one in active_children() if one not in others]
        return self

    def next(self) -> tuple[Any, float]:
        """The next batch, and the seconds that it was waited for.

        Raises:
            ValueError, OSError: whatever the batch raised, from a worker too.
        """
        assert self._iterator is not None  # entered
        asked = time.perf_counter()
        batch = next(self._iterator)
        if isinstance(batch, Exception):
            raise batch
        return batch, time.perf_counter() - asked

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """End the workers; an error that one of them caused by its death says so.

        Raises:
            RunFailed: if a worker was killed.
        """
        try:
            self._end(error)
        except RunFailed:
            raise
        except RuntimeError as late:  # torch notices the death amid this
            self._end(late)

    def _end(self, error: BaseException | None) -> None:
        is_sign = isinstance(error, _SIGNS)
        # Torch's handler raises wherever it is called.
        watched = (signal.SIGCHLD,) if hasattr(signal, "SIGCHLD") else ()
        with handled(signal.SIG_DFL, watched):
            if is_sign:  # it may take a moment to be gone
                wait([one.sentinel for one in self._workers], timeout=1.0)
            died = [one for one in self._workers if one.exitcode not in (None, 0)]
            if error is not None:  # do not wait for the batches that they are at
                for worker in self._workers:
                    worker.kill()
                for worker in self._workers:
                    worker.join()
        self._iterator = None
        if is_sign and died:
            what = how_it_ended("DataLoader worker", died[0].pid, died[0].exitcode)
            raise RunFailed(f"{what}; {MEMORY}: fewer train.workers need less; --resume goes on")


class _Batches(Dataset):
    """An expected error is a value, as torch would add the traceback of the worker to its text."""

    def __init__(self, batches: Dataset) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> Any:
        try:
            return self.batches[index]
        except (ValueError, OSError) as error:
            return error


def _start_worker(worker: int) -> None:
    """One thread each; the main process alone decides when to stop."""
    torch.set_num_threads(1)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
