"""A run that is killed and resumed ends as one that never was."""

import multiprocessing
import sys
from pathlib import Path

import pytest

from pcl_run.checkpoint import newest_checkpoint
from pcl_run.metrics import read_metrics

sys.path.insert(0, str(Path(__file__).parent))
import tiny_app

# Fresh processes that need not import torch again.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["pcl_run.loop", "lightning_fabric", "torch.utils.tensorboard"])


def start(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """Exit code (negative: the signal that killed it) and stderr of one process of the app."""
    stderr = folder.parent / "stderr.txt"
    process = FORK.Process(target=tiny_app.main, args=([str(folder), *arguments], stderr))
    process.start()
    process.join(120)
    return process.exitcode, stderr.read_text()


def weights(folder: Path) -> bytes:
    return (newest_checkpoint(folder) / "model.safetensors").read_bytes()


def numbers(folder: Path) -> list[dict]:
    """The lines of metrics without what the clock and the machine decide."""
    measured = ("time", "steps_per_second", "data_wait", "peak_memory_bytes")
    rows = read_metrics(folder)
    return [{key: row[key] for key in row if key not in measured} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert start(folder)[0] == 0
    return folder


@pytest.mark.parametrize("kills", [["round_0:3", "round_0:7"], ["round_0:12", "round_1:11"]])
def test_a_killed_run_ends_bit_for_bit_the_same(whole, tmp_path, kills):
    folder, resume = tmp_path / "run", ()
    for kill in kills:
        assert start(folder, "--kill", kill, *resume)[0] == -9
        resume = ("--resume",)
    assert start(folder, "--resume")[0] == 0
    assert weights(folder) == weights(whole)
    assert numbers(folder) == numbers(whole)
    assert (folder / "state.json").read_bytes() == (whole / "state.json").read_bytes()


def test_sigterm_leaves_a_checkpoint_of_that_step_and_130(whole, tmp_path):
    folder = tmp_path / "run"
    code, stderr = start(folder, "--term", "round_1:7", "--workers", "1")
    assert code == 130
    assert "interrupted at round_1 step 8" in stderr
    assert newest_checkpoint(folder).name == "round_1_step_000008"
    assert start(folder, "--resume")[0] == 0
    assert weights(folder) == weights(whole)
    assert numbers(folder) == numbers(whole)


def test_sigterm_between_stages_leaves_with_130(tmp_path):
    assert start(tmp_path / "run", "--term", "round_0:12")[0] == 130
