"""Tests of pcl_pseudolabel.atomic_files."""

import errno
import os
import stat

import pytest

from pcl_pseudolabel.atomic_files import whole_file


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
