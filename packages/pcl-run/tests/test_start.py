"""Tests of pcl_run.start."""

import pytest

from pcl_run.config import Config
from pcl_run.start import Start, with_options


class Settings(Config):
    steps: int = 10
    seed: int = 0


def test_settings_are_layered(tmp_path):
    (tmp_path / "few.yaml").write_text("steps: 3\nseed: 5\n")
    start = Start("quick", tmp_path / "few.yaml", ["seed=7"])
    assert start.settings(Settings, {"quick": {"steps": 4}}) == Settings(steps=3, seed=7)


def test_a_run_without_a_folder_gets_the_next_free_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [Start("quick").open_run("try", Settings()).folder.as_posix() for _ in range(2)]
    assert names == ["runs/try_001", "runs/try_002"]


def test_a_run_that_is_resumed_must_be_named():
    with pytest.raises(ValueError, match="--out must name the run to resume, got none"):
        Start("quick", resume=True)


def test_options_that_were_given_come_last():
    assert with_options(None, {"seed": 0, "init": None}) == ["seed=0"]
