"""Tests of pcl_run.loop, progress, interrupts and seeding (kills: test_resume.py)."""

import os
import random
import signal
import sys
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch

from pcl_run.checkpoint import newest_checkpoint
from pcl_run.cli import RunFailed, make_fabric
from pcl_run.interrupts import Interrupted, StopRequest, interruptible
from pcl_run.loop import poly
from pcl_run.memory import peak_memory_bytes
from pcl_run.metrics import read_metrics
from pcl_run.run import Run
from pcl_run.seeding import derive_seed, seed_everything

sys.path.insert(0, str(Path(__file__).parent))
from tiny_app import STEPS, Batches, Settings, build, train


def test_logs_and_checkpoints_at_their_steps(tmp_path, capsys):
    run = Run.open(tmp_path, Settings())
    train(run, build(), stages=1, log_every=5)
    rows = [row for row in read_metrics(tmp_path) if row["stage"] == "round_0"]
    assert [row["step"] for row in rows] == [5, 10, STEPS]
    assert rows[0]["lr"] == pytest.approx(0.05 * (1 - 4 / STEPS) ** 0.9)
    assert {"loss", "absolute", "steps_per_second", "data_wait", "peak_memory_bytes"} <= set(
        rows[0]
    )
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("round*"))
    assert kept == ["round_0_step_000010", "round_0_step_000012"]
    lines = [one for one in capsys.readouterr().err.splitlines() if one.startswith("round 0")]
    assert len(lines) == 3  # others are warnings of an older torch
    assert all(word in lines[0] for word in ("round 0 5/12", "loss", "ETA", "data wait", "MiB"))


def test_weights_do_not_depend_on_workers_or_the_state_before(tmp_path):
    weights = []
    for n_workers in (0, 1):
        torch.manual_seed(n_workers)
        modules = build()
        run = Run.open(tmp_path / str(n_workers), Settings())
        train(run, modules, stages=1, n_workers=n_workers)
        weights.append(modules["head"].weight.detach().clone())
    assert torch.equal(*weights)


def test_a_finished_stage_is_loaded_not_trained(tmp_path):
    modules, other = build(), build()
    train(Run.open(tmp_path, Settings()), modules)
    noise = torch.rand(3)
    with torch.no_grad():
        other["head"].weight.zero_()

    def never(stage, step):
        assert step == STEPS

    train(Run.open(tmp_path, Settings(), resume=True), other, hook=never)
    assert torch.equal(torch.rand(3), noise)
    assert all(torch.equal(a, b) for a, b in zip(modules.parameters(), other.parameters()))  # noqa: B905


def test_another_number_of_steps_is_an_error(tmp_path):
    run = Run.open(tmp_path, Settings())
    train(run, build(), stages=1)
    with pytest.raises(ValueError, match=r"n_steps must be 12 as in .*, got 13"):
        train(run, build(), stages=1, n_steps=13)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    modules = build()

    def poison(stage, step):
        if step == 4:
            modules["head"].weight.data.fill_(float("nan"))

    message = "loss must be finite, got loss nan, absolute nan at round_0 step 4"
    with pytest.raises(RunFailed, match=message):
        train(Run.open(tmp_path, Settings()), modules, hook=poison)


def test_sigint_finishes_the_step_and_restores_the_handlers(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def press(stage, step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="round_0 step 4"):
        train(Run.open(tmp_path, Settings()), build(), hook=press)
    assert newest_checkpoint(tmp_path).name == "round_0_step_000004"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_sigint_interrupts_at_once():
    stop = StopRequest()
    stop.handle(signal.SIGINT, None)
    assert stop.requested
    with pytest.raises(Interrupted):
        stop.handle(signal.SIGINT, None)


def test_a_request_is_not_forgotten_when_the_block_ends():
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_comes_between_steps_is_left_at_once_with_a_checkpoint(tmp_path, number):
    def evaluate(done):
        if done == 3:
            signal.raise_signal(number)
            pytest.fail("went on")

    with pytest.raises(Interrupted, match="round_0 step 3"):
        train(Run.open(tmp_path, Settings()), build(), between=evaluate)
    assert newest_checkpoint(tmp_path).name == "round_0_step_000003"


def test_a_stop_in_the_last_step_of_a_stage_stops(tmp_path):
    def press(stage, step):
        if step == STEPS - 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="round_0 step 12"):
        train(Run.open(tmp_path, Settings()), build(), hook=press)
    assert newest_checkpoint(tmp_path).name == "round_0_step_000012"


class OddBatches(Batches):
    """Of which batch 4 is not made."""

    def __init__(self, odd, shift):
        super().__init__(shift)
        self.odd = odd

    def __getitem__(self, step):
        if step == 4:
            self.odd()
        return super().__getitem__(step)


def stuck():
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)


def test_a_stop_does_not_wait_for_a_batch(tmp_path):
    began, batches = time.monotonic(), partial(OddBatches, stuck)
    with pytest.raises(Interrupted) as stopped:  # batches are made ahead of their steps
        train(Run.open(tmp_path, Settings()), build(), make_batches=batches, n_workers=1)
    assert time.monotonic() - began < 30
    done = int(newest_checkpoint(tmp_path).name.removeprefix("round_0_step_"))
    assert f"round_0 step {done};" in str(stopped.value)
    assert active_children() == []


def test_a_killed_worker_is_named(tmp_path):
    batches = partial(OddBatches, lambda: os.kill(os.getpid(), signal.SIGKILL))
    words = r"process \d+ \(DataLoader worker\) was killed by SIGKILL; memory .*--resume goes on"
    with pytest.raises(RunFailed, match=words):
        train(Run.open(tmp_path, Settings()), build(), make_batches=batches, n_workers=2)
    assert active_children() == []


@pytest.mark.parametrize("n_workers", [0, 1])
def test_an_error_of_a_batch_is_as_it_was_raised(tmp_path, n_workers):
    def fail():
        raise ValueError("points must be finite, got nan in a.ply")

    batches = partial(OddBatches, fail)
    with pytest.raises(ValueError, match=r"\Apoints must be finite, got nan in a.ply\Z"):
        train(Run.open(tmp_path, Settings()), build(), make_batches=batches, n_workers=n_workers)


def test_weights_that_are_not_finite_are_never_a_checkpoint(tmp_path):
    modules = build()

    def poison(stage, step):
        if step == 9:
            modules["body"][1].running_var.fill_(float("inf"))  # the loss stays finite

    words = r"weights must be finite, got others in body.1.running_var at round_0 step 10: .*"
    with pytest.raises(RunFailed, match=words + "last checkpoint is round_0_step_000005"):
        train(Run.open(tmp_path, Settings()), modules, hook=poison)
    assert newest_checkpoint(tmp_path).name == "round_0_step_000005"
    resumed = build()
    train(Run.open(tmp_path, Settings(), resume=True), resumed, stages=1)
    assert all(torch.isfinite(value).all() for value in resumed.state_dict().values())


def test_a_step_that_fails_as_weights_are_not_finite_says_so(tmp_path):
    modules = build()

    def poison(stage, step):
        if step == 4:
            modules["head"].weight.data.fill_(float("nan"))
            raise ValueError("points must be finite")

    words = (
        r"weights must be finite, got others in head.weight \(points must be finite\) at round_0"
    )
    with pytest.raises(RunFailed, match=words):
        train(Run.open(tmp_path, Settings()), modules, hook=poison)


def test_poly_falls_from_one_to_zero():
    assert poly()(0, 10) == 1
    assert poly()(10, 10) == 0
    assert poly(0.9)(5, 10) == pytest.approx(0.5**0.9)


def test_seeds():
    seeds = {derive_seed(*parts) for parts in [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1)]}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    drawn = []
    for _ in range(2):
        seed_everything(derive_seed(5))
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_memory_counts_this_process():
    before = peak_memory_bytes()
    block = np.ones(30_000_000)
    assert before > 50e6
    assert peak_memory_bytes() >= block.nbytes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_a_gpu(tmp_path):
    modules = build()
    train(Run.open(tmp_path, Settings()), modules, fabric=make_fabric(), stages=1)
    assert modules["head"].weight.is_cuda
