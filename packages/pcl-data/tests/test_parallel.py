"""Tests of pcl_data.parallel."""

import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from pcl_data.parallel import run_each

sys.path.insert(0, str(Path(__file__).parent))
import parallel_jobs


@pytest.mark.parametrize("n_workers", [1, 2])
def test_every_number_comes_with_its_result(n_workers):
    assert dict(run_each(math.factorial, [3, 4, 5], n_workers)) == {3: 6, 4: 24, 5: 120}


def test_one_worker_keeps_the_order_and_starts_nothing_early():
    results = run_each(math.factorial, [5, -1, 3], 1)
    assert next(results) == (5, 120)
    with pytest.raises(ValueError, match="negative"):
        next(results)


def test_an_error_of_a_worker_is_the_error_of_the_caller():
    with pytest.raises(ValueError, match="negative"):
        list(run_each(math.factorial, [3, -1], 2))


def test_the_environment_is_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    list(run_each(math.factorial, [3, 4], 2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")
def test_a_terminal_interrupts_the_parent_alone():
    assert _said_after(signal.SIGINT, os.killpg).count("Traceback") == 1


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")
def test_workers_end_with_a_killed_parent():
    assert "Traceback" not in _said_after(signal.SIGKILL, os.kill)  # and not TimeoutExpired


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")
def test_an_interrupt_ends_jobs_that_have_begun(tmp_path):
    def press():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=press).start()
    began = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it
    with pytest.raises(KeyboardInterrupt):
        list(run_each(partial(parallel_jobs.write_slowly, tmp_path), range(3), 2))
    signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 30
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_is_named(number):
    words = rf"process \d+ \(one of 2 in parallel\) was killed by {number.name}; memory"
    with pytest.raises(BrokenProcessPool, match=words):
        list(run_each(partial(parallel_jobs.kill_own_process, number), range(4), 2))


def _said_after(number, send):
    """What a process with two workers says on stderr until the last of the three has ended."""
    code = (
        "import signal, time; from pcl_data.parallel import run_each\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "results = run_each(time.sleep, [0, 0, 0.3, 0.3, 0.3], 2)\n"
        "next(results), next(results)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, **pipes)
    assert process.stdout.readline() == "ready\n"
    send(process.pid, number)
    try:
        return process.communicate(timeout=60)[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_no_workers_are_rejected():
    with pytest.raises(ValueError, match="n_workers must be at least 1, got 0"):
        next(run_each(math.factorial, [3], 0))
