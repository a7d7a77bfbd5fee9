"""A run that is killed and resumed ends as one that never was."""

import subprocess
import sys
from pathlib import Path

import pytest
from pcl_appkit.metrics import read_metrics

APP = Path(__file__).parent / "tiny_app.py"
FINAL = "checkpoints/last/model.safetensors"


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(APP), str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def numbers(folder: Path) -> list[dict]:
    """The lines of metrics without what the clock and the machine decide."""
    measured = ("time", "steps_per_second", "data_wait", "peak_memory_bytes")
    rows = read_metrics(folder)
    return [{key: row[key] for key in row if key not in measured} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = start(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("kills", [["round_0:3", "round_0:7"], ["round_0:12", "round_1:11"]])
def test_a_killed_run_ends_bit_for_bit_the_same(whole, tmp_path, kills):
    folder, resume = tmp_path / "run", ()
    for kill in kills:
        assert start(folder, "--kill", kill, *resume).returncode == -9
        resume = ("--resume",)
    done = start(folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert (folder / FINAL).read_bytes() == (whole / FINAL).read_bytes()
    assert numbers(folder) == numbers(whole)
    assert (folder / "state.json").read_bytes() == (whole / "state.json").read_bytes()


def test_sigterm_leaves_a_checkpoint_of_that_step_and_130(whole, tmp_path):
    folder = tmp_path / "run"
    done = start(folder, "--term", "round_1:7", "--workers", "1")
    assert done.returncode == 130, done.stderr
    assert "interrupted at round_1 step 8" in done.stderr
    assert (folder / "checkpoints/last").resolve().name == "round_1_step_000008"
    assert start(folder, "--resume").returncode == 0
    assert (folder / FINAL).read_bytes() == (whole / FINAL).read_bytes()
    assert numbers(folder) == numbers(whole)


def test_sigterm_between_stages_leaves_with_130(tmp_path):
    assert start(tmp_path / "run", "--term", "round_0:12").returncode == 130
