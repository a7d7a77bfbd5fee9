"""Tests of pcl_run.run and pcl_run.metrics."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pcl_run.config import Config, load_config
from pcl_run.metrics import read_metrics
from pcl_run.run import Run, is_main_process


class Settings(Config):
    seed: int = 0
    steps: int = 10


def steps(folder):
    return [(row["stage"], row["step"]) for row in read_metrics(folder)]


def test_a_run_folder_says_what_made_it(tmp_path):
    Run.open(tmp_path / "a", Settings(seed=4))
    env = json.loads((tmp_path / "a/env.json").read_text())
    assert {"torch", "pcl-run"} <= set(env["versions"])
    assert env["argv"]
    assert load_config(Settings, presets={}, file=tmp_path / "a/config.yaml").seed == 4


def test_facts_and_metrics_survive(tmp_path):
    run = Run.open(tmp_path, Settings())
    run.remember("round_0", {"ap": 0.25})
    run.metrics("round_0", 2, loss=0.5, none=float("nan"))
    run.write_summary({"seconds": 1.0})
    again = Run.open(tmp_path, Settings(), resume=True)
    assert again.recall("round_0") == {"ap": 0.25}
    assert again.recall("other", 7) == 7
    assert read_metrics(tmp_path)[0]["loss"] == 0.5
    assert read_metrics(tmp_path)[0]["none"] is None
    assert len(json.loads((tmp_path / "env.json").read_text())["earlier"]) == 1


def test_a_fact_is_recalled_as_a_resumed_run_reads_it(tmp_path):
    run = Run.open(tmp_path, Settings())
    run.remember("scores", {"ap": float("nan"), "loss": float("inf"), "steps": (1, 2)})
    expected = {"ap": None, "loss": None, "steps": [1, 2]}
    assert run.recall("scores") == expected
    assert Run.open(tmp_path, Settings(), resume=True).recall("scores") == expected


def test_no_step_is_there_twice_after_resuming(tmp_path):
    run = Run.open(tmp_path, Settings())
    for step in (2, 4, 6):
        run.metrics("a", step, loss=step)
    run.metrics("evaluation", 0, ap=0.1)
    with (tmp_path / "metrics.jsonl").open("a") as handle:
        handle.write('{"stage": "a", "st')  # torn by the kill
    again = Run.open(tmp_path, Settings(), resume=True)
    again.truncate_metrics("a", 2)
    assert steps(tmp_path) == [("a", 2), ("evaluation", 0)]
    again.metrics("evaluation", 0, ap=0.2)
    again.metrics("evaluation", 0, miou=0.3)
    again.metrics("a", 4, loss=4)
    assert steps(tmp_path) == [("a", 2), ("evaluation", 0), ("evaluation", 0), ("a", 4)]
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("a/loss")] == [(2, 2), (4, 4)]
    assert len(events.Scalars("evaluation/ap")) == 1


def test_an_existing_folder_is_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty: give --resume"):
        Run.open(tmp_path, Settings())
    for options in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(ValueError, match="must name a run folder"):
            Run.open(tmp_path, Settings(), **options)
    with pytest.raises(ValueError, match="must name a run folder"):
        Run.open(tmp_path / "none", Settings(), resume=True)
    with pytest.raises(ValueError, match="must be a folder, got the file"):
        Run.open(tmp_path / "notes.txt", Settings())
    with pytest.raises(ValueError, match="not both"):
        Run.open(tmp_path, Settings(), overwrite=True, resume=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwrite_starts_again(tmp_path):
    run = Run.open(tmp_path, Settings())
    run.remember("a", 1)
    (tmp_path / "pseudo").mkdir()
    again = Run.open(tmp_path, Settings(seed=1), overwrite=True)
    assert again.recall("a") is None
    assert not (tmp_path / "pseudo").exists()
    assert "seed: 1" in (tmp_path / "config.yaml").read_text()


def test_resume_with_other_settings_names_the_first(tmp_path):
    Run.open(tmp_path, Settings())
    with pytest.raises(ValueError, match="steps must stay 10 to resume, got 20"):
        Run.open(tmp_path, Settings(steps=20), resume=True)


def test_a_run_killed_before_its_config_was_there_can_resume(tmp_path):
    Run.open(tmp_path, Settings(seed=1))
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ValueError, match="seed must stay 1 to resume, got 2"):
        Run.open(tmp_path, Settings(seed=2), resume=True)
    Run.open(tmp_path, Settings(seed=1), resume=True)
    assert "seed: 1" in (tmp_path / "config.yaml").read_text()


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert not is_main_process()
    run = Run.open(tmp_path, Settings())
    run.metrics("a", 1, loss=1.0)
    run.remember("a", 1)
    run.write_summary({})
    assert run.recall("a") == 1
    assert list(tmp_path.iterdir()) == []


def test_log_goes_to_file_and_stderr(tmp_path, capsys):
    Run.open(tmp_path, Settings()).log("hello")
    assert "hello" in (tmp_path / "train.log").read_text()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_time_adds_up_even_where_a_run_is_interrupted(tmp_path, monkeypatch):
    now = iter([100.0, 107.0, 200.0, 203.0])
    monkeypatch.setattr("pcl_run.run.time.monotonic", lambda: next(now))
    run = Run.open(tmp_path, Settings())
    with pytest.raises(KeyboardInterrupt), run.timed():
        raise KeyboardInterrupt
    assert run.recall("seconds") == 7
    again = Run.open(tmp_path, Settings(), resume=True)
    with again.timed():
        pass
    assert again.recall("seconds") == 10


def test_processes_that_train_together_share_the_folder_of_the_first(tmp_path, monkeypatch):
    first = Run.open(tmp_path / "twist_001", Settings())
    first.remember("round_0", 1)

    def broadcast(box):
        box[0] = first.folder

    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 1)
    monkeypatch.setattr("torch.distributed.broadcast_object_list", broadcast)
    second = Run.open(tmp_path / "twist_002", Settings())
    assert (second.folder, second.recall("round_0")) == (first.folder, 1)
    assert not (tmp_path / "twist_002").exists()
