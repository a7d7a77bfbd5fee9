"""Tests of pcl_synth.cache."""

import tempfile
from pathlib import Path

import pytest

from pcl_synth import SyntheticRooms, cache
from pcl_synth.cache import cache_folder


def test_a_folder_that_is_given_is_taken(tmp_path):
    assert cache_folder(str(tmp_path)) == tmp_path


def test_that_of_the_user_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "user_cache_dir", lambda name: str(tmp_path / ".cache" / name))
    assert cache_folder(None) == tmp_path / ".cache" / "pcl-data"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("own", ["~/.cache/pcl-data", "/dev/null/.cache/pcl-data"])
def test_where_nothing_is_writable_it_is_a_temporary_one(monkeypatch, own):
    monkeypatch.setattr(cache, "user_cache_dir", lambda name: own)
    with pytest.warns(UserWarning, match="the option cache names another folder"):
        rooms = SyntheticRooms(1)
    assert rooms.cache.is_relative_to(Path(tempfile.gettempdir()))
