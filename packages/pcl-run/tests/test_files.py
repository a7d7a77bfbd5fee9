"""Tests of pcl_run.files."""

import errno
import json
import os

import pytest
import torch

from pcl_run import files
from pcl_run.files import (
    atomic_write,
    must_be_new,
    read_json,
    remove_leftovers,
    temporary_name,
    write_json,
)

NO_SUCH_CALL = [errno.EINVAL, errno.ENOTSUP, errno.EPERM]
BROKEN = [errno.EIO, errno.ESTALE, errno.ENOSPC]


def failing(number):
    def call(*arguments):
        raise OSError(number, os.strerror(number))

    return call


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_write(path) as handle:
            handle.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("number", BROKEN)
def test_data_that_cannot_be_written_is_an_error_that_names_the_file(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(OSError, match=r"a\.json") as caught:
        write_json(tmp_path / "a.json", {"a": 1})
    assert caught.value.errno == number
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_disk_without_fsync_takes_files(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("number", NO_SUCH_CALL + BROKEN)
@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_does_not_matter(tmp_path, monkeypatch, call, number):
    opened, sync, descriptors = os.open, os.fsync, []

    def open_folder(path, flags, *more):
        if call == "open":
            failing(number)()
        descriptors.append(opened(path, flags, *more))
        return descriptors[-1]

    def sync_folder(descriptor):
        failing(number)() if descriptor in descriptors else sync(descriptor)

    monkeypatch.setattr(files.os, "open", open_folder)
    monkeypatch.setattr(files.os, "fsync", sync_folder)
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)


@pytest.mark.parametrize("number", NO_SUCH_CALL)
def test_a_disk_that_renames_over_nothing_takes_files(tmp_path, monkeypatch, number):
    write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr(files.os, "replace", failing(number))
    write_json(tmp_path / "a.json", {"a": 2})
    assert read_json(tmp_path / "a.json") == {"a": 2}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", BROKEN)
def test_a_rename_that_fails_leaves_the_old_file(tmp_path, monkeypatch, number):
    write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr(files.os, "replace", failing(number))
    with pytest.raises(OSError, match=r"a\.json"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_files_have_the_modes_of_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(old)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_json_takes_scalars_and_writes_what_is_not_finite_as_null(tmp_path):
    value = {"ap": torch.tensor(0.5), "none": float("nan"), "inf": [float("inf")], "t": (1, 2)}
    write_json(tmp_path / "a.json", value)
    expected = {"ap": 0.5, "none": None, "inf": [None], "t": [1, 2]}
    assert json.loads((tmp_path / "a.json").read_text()) == expected
    with pytest.raises(TypeError):
        write_json(tmp_path / "b.json", object())
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"{", b"\xff\xfe", b'{"a": 1}x', b"[" * 100_000]
)
def test_json_that_is_damaged_names_its_file(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json: "):
        read_json(tmp_path / "a.json")


def test_what_is_there_is_not_written_over(tmp_path):
    must_be_new(tmp_path / "new.ply", overwrite=False)
    (tmp_path / "link.ply").symlink_to(tmp_path / "nowhere")
    (tmp_path / "scan.ply").write_text("mine")
    for name in ("scan.ply", "link.ply"):
        with pytest.raises(ValueError, match=f"{name} is there already: give --overwrite"):
            must_be_new(tmp_path / name, overwrite=False)
        must_be_new(tmp_path / name, overwrite=True)


def test_leftovers_of_killed_writers_go_and_nothing_else(tmp_path):
    (tmp_path / "below").mkdir()
    kept = [tmp_path / name for name in (".hidden", "a.tmp", ".notes.tmp", "below/b.npz")]
    made = [temporary_name(tmp_path / "a.json"), temporary_name(tmp_path / "below/b.npz")]
    made.append(tmp_path / "below/.b.npz.0123456789abcdef0123456789abcdef.tmp")
    for path in (*kept, *made):
        path.write_text("")
    folder = temporary_name(tmp_path / "below/step")
    folder.mkdir()
    (folder / "x").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "below")
    remove_leftovers(tmp_path)
    assert not any(path.exists() for path in (*made, folder))
    assert all(path.exists() for path in kept)
