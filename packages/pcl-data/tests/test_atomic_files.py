"""Tests of pcl_data.atomic_files."""

import os

import pytest

from pcl_data.atomic_files import flush_folder, flushed_file, whole_file, whole_folder, write_whole


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
