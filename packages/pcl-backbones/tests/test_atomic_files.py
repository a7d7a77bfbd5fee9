"""Tests of pcl_backbones.atomic_files."""

import errno
import os
import signal
import stat

import pytest

from pcl_backbones.atomic_files import remove_leftovers, whole_file


def write(path, content=b"new"):
    with whole_file(path) as file:
        file.write(content)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_umask_decides_on_the_mode(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO, errno.ESTALE, 13])
def test_a_folder_that_cannot_be_flushed_loses_nothing(tmp_path, monkeypatch, call, number):
    original = getattr(os, call)

    def fail(target, *arguments):
        is_folder = stat.S_ISDIR(os.fstat(target).st_mode) if call == "fsync" else True
        if is_folder:
            raise OSError(number, os.strerror(number))
        return original(target, *arguments)

    monkeypatch.setattr(os, call, fail)
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def failing_fsync(monkeypatch, number):
    def fail(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_where_there_is_no_fsync_a_file_is_written_without(tmp_path, monkeypatch, number):
    failing_fsync(monkeypatch, number)
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_bytes_that_do_not_reach_the_disk_replace_nothing(tmp_path, monkeypatch, number):
    write(tmp_path / "a", b"old")
    failing_fsync(monkeypatch, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def killed_while_writing(path):
    """A process that is killed once its bytes are in the temporary file."""
    pid = os.fork()
    if pid == 0:
        os.fsync = lambda _descriptor: os.kill(os.getpid(), signal.SIGKILL)
        write(path)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(os.name == "nt", reason="Windows has no fork")
def test_what_a_kill_left_is_removed_by_the_next_writer_of_the_file(tmp_path):
    for name in ("a[1]", "b"):
        killed_while_writing(tmp_path / name)
    (tmp_path / ".a[1].mine.txt").touch()
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    write(tmp_path / "a[1]")
    mine, of_b, written = sorted(os.listdir(tmp_path))
    assert (mine, written) == (".a[1].mine.txt", "a[1]")
    assert of_b.startswith(".b.")  # of another file


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no open file")
def test_what_is_being_written_stays(tmp_path):
    with whole_file(tmp_path / "a") as file:
        file.write(b"first")
        write(tmp_path / "a", b"second")
        remove_leftovers(tmp_path.glob(".*.tmp"))
        assert len(list(tmp_path.glob(".*.tmp"))) == 1
    assert (tmp_path / "a").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_without_locks_files_are_written_and_nothing_is_removed(tmp_path, monkeypatch):
    (tmp_path / ".a.0123.tmp").write_bytes(b"left")
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_):
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    write(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == [".a.0123.tmp", "a"]
