"""Tests of pcl_run.lock."""

import errno
import gc
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from pcl_run.lock import FILE, lock_folder

sys.path.insert(0, str(Path(__file__).parent))
import lock_holders

SPAWN = multiprocessing.get_context("forkserver")


def test_a_lock_names_its_process_and_ends_with_it(tmp_path):
    ready, done = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=lock_holders.hold, args=(tmp_path, ready, done))
    process.start()
    assert ready.wait(60)
    message = rf"{tmp_path} is being written by process {process.pid} on \S+: wait, or stop it"
    with pytest.raises(ValueError, match=message):
        lock_folder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    lock = lock_folder(tmp_path)  # although what it started lives on
    assert (tmp_path / FILE).read_text().startswith(f"process {os.getpid()} on ")
    assert lock_folder(tmp_path) is lock
    done.set()


def test_of_simultaneous_starts_exactly_one_wins(tmp_path):
    gate, answers = SPAWN.Event(), SPAWN.Queue()
    started = [
        SPAWN.Process(target=lock_holders.start, args=(tmp_path / "run", gate, answers))
        for _ in "abcd"
    ]
    for process in started:
        process.start()
    gate.set()
    found = sorted(answers.get(timeout=120) for _ in started)
    for process in started:
        process.join()
    assert found[0] == ""
    assert all("is being written by" in one or "is not empty" in one for one in found[1:])


def test_a_folder_that_is_forgotten_is_free(tmp_path):
    lock = lock_folder(tmp_path)
    file = lock.file
    del lock
    gc.collect()
    assert file.closed


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EIO])
def test_a_disk_without_locks_warns(tmp_path, monkeypatch, number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf", fail)
    with pytest.warns(UserWarning, match="cannot be locked .*: see to it that one process writes"):
        lock_folder(tmp_path)
