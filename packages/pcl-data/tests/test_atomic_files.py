"""Tests of pcl_data.atomic_files."""

import errno
import os
import stat
import sys

import pytest

from pcl_data.atomic_files import (
    flush_folder,
    flushed_file,
    leftovers,
    remove_leftover,
    whole_file,
    whole_folder,
    write_whole,
)


def test_a_file_takes_its_place_when_it_is_complete(tmp_path):
    path = tmp_path / "a.bin"
    with whole_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [child.name for child in tmp_path.iterdir()] == ["a.bin"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"new", "text"])
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_takes_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "a"
    with whole_folder(path) as folder:
        (folder / "x").write_text("1")
        assert not path.exists()
    assert (path / "x").read_text() == "1"
    with pytest.raises(FileExistsError, match="path must not exist yet"), whole_folder(path):
        pass


def test_files_are_written_where_folders_cannot_be_opened(tmp_path, monkeypatch):
    def no_folders(path, flags):
        raise PermissionError(path)

    monkeypatch.delattr(os, "O_DIRECTORY")  # as on Windows
    monkeypatch.setattr("pcl_data.atomic_files.os.open", no_folders)
    flush_folder(tmp_path)


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(TypeError), whole_folder(tmp_path / "a") as folder:
        (folder / "x").open("wb").writelines([b"new", "text"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_with_its_folders(tmp_path):
    write_whole(tmp_path / "a" / "b" / "c.bin", b"data")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"data"


def test_a_file_of_a_new_folder_is_on_the_disk_and_replaces_none(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    with flushed_file(tmp_path / "a") as file:
        file.write(b"data")
    assert len(flushed) == 1
    with pytest.raises(FileExistsError), flushed_file(tmp_path / "a"):
        pass


def fail_fsync_of(monkeypatch, kind, number):
    """Fsync of files, or of folders, fails as on a file system that cannot, or on a broken disk."""
    real = os.fsync

    def fsync(descriptor):
        if kind(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO, errno.ESTALE])
def test_folders_that_cannot_be_flushed_are_no_error(tmp_path, monkeypatch, number):
    fail_fsync_of(monkeypatch, stat.S_ISDIR, number)
    with whole_folder(tmp_path / "a") as folder, whole_file(folder / "x") as file:
        file.write(b"data")
    assert (tmp_path / "a" / "x").read_bytes() == b"data"


def test_files_that_cannot_be_flushed_are_written_all_the_same(tmp_path, monkeypatch):
    fail_fsync_of(monkeypatch, stat.S_ISREG, errno.EINVAL)
    write_whole(tmp_path / "x", b"data")
    assert (tmp_path / "x").read_bytes() == b"data"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOSPC])
def test_data_that_does_not_reach_the_disk_is_an_error_that_names_the_file(
    tmp_path, monkeypatch, number
):
    fail_fsync_of(monkeypatch, stat.S_ISREG, number)
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(OSError, match=r"\.x\.") as error, whole_file(tmp_path / "x") as file:
        file.write(b"new")
    assert error.value.errno == number
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_modes_are_those_of_other_files(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "x", b"data")
        with whole_folder(tmp_path / "a") as folder, flushed_file(folder / "y") as file:
            file.write(b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode
    assert (tmp_path / "a" / "y").stat().st_mode & 0o777 == mode


def test_what_a_killed_process_left_is_found_by_its_final_name(tmp_path):
    writing = whole_folder(tmp_path / "a.b")
    folder = writing.__enter__()  # and never ends
    (folder / "x").touch()
    (tmp_path / ".hidden.tmp").touch()
    (tmp_path / f".c.{'0' * 32}.tmp").touch()
    found = dict(leftovers(tmp_path))
    assert found.keys() == {"a.b", "c"}
    assert found["a.b"] == folder
    for path in found.values():
        remove_leftover(path)
    assert [path.name for path in tmp_path.iterdir()] == [".hidden.tmp"]
