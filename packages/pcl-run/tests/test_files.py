"""Tests of pcl_run.files."""

import errno
import json
import os

import pytest
import torch

from pcl_run.files import atomic_write, write_json


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


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"a": 1})
    assert os.listdir(tmp_path) == []


def test_json_takes_scalars_and_writes_nan_as_null(tmp_path):
    write_json(tmp_path / "a.json", {"ap": torch.tensor(0.5), "none": float("nan"), "t": (1, 2)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"ap": 0.5, "none": None, "t": [1, 2]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", float("inf"))
    assert os.listdir(tmp_path) == ["a.json"]
