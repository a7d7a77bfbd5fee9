"""Tests of pcl_run.start."""

from pathlib import Path

import pytest

from pcl_run.config import Config
from pcl_run.seeding import Seed
from pcl_run.start import Start, with_options


class Settings(Config):
    steps: int = 10
    seed: Seed = 0
    data: Path | None = None


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


PRESETS = {"quick": {"steps": 4}, "paper": {"steps": 90}}


def begun(tmp_path, preset=None):
    """A run of `seed=7` and a file of settings, as a command starts it."""
    (tmp_path / "few.yaml").write_text("data: scans\n")
    start = Start(preset, tmp_path / "few.yaml", ["seed=7"], tmp_path / "run")
    settings = start.settings(Settings, PRESETS)
    start.open_run("try", settings)
    return settings


def resumed(tmp_path, preset=None, file=None, overrides=()):
    start = Start(preset, file, overrides, tmp_path / "run", resume=True)
    settings = start.settings(Settings, PRESETS)
    start.open_run("try", settings)
    return settings


def test_the_folder_alone_is_enough_to_resume_from_any_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = begun(tmp_path)
    assert settings == Settings(steps=4, seed=7, data=tmp_path / "scans")
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert resumed(tmp_path) == settings
    assert resumed(tmp_path, "quick", None, ["data=../scans", "steps=4"]) == settings
    assert resumed(tmp_path) == settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "paper"}, "--preset must stay quick to resume, got paper"),
        ({"overrides": ["seed=8"]}, "seed must stay 7 to resume, got 8; leave it out, or start"),
        ({"overrides": ["steps=9"]}, "steps must stay 4 to resume, got 9"),
        ({"overrides": ["data=/x"]}, "data must stay '.*scans' to resume, got '/x'"),
        ({"overrides": ["step=4"]}, "step is no setting; did you mean steps"),
    ],
)
def test_what_differs_from_the_run_is_named(tmp_path, given, message):
    begun(tmp_path)
    with pytest.raises(ValueError, match=message):
        resumed(tmp_path, **given)


def test_a_file_may_be_repeated_and_not_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun(tmp_path)
    resumed(tmp_path, None, tmp_path / "few.yaml")
    (tmp_path / "few.yaml").write_text("seed: 3\n")
    with pytest.raises(ValueError, match="seed must stay 7 to resume, got 3"):
        resumed(tmp_path, None, tmp_path / "few.yaml")


def test_a_preset_of_its_own_stays(tmp_path):
    begun(tmp_path, "paper")
    assert resumed(tmp_path).steps == 90
    assert resumed(tmp_path, "paper").steps == 90
    with pytest.raises(ValueError, match=r"--preset must stay paper to resume, got quick"):
        resumed(tmp_path, "quick")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [1", r"config\.yaml: is not YAML in line"),
        ("a: &a [*a]", r"config\.yaml: must not have an alias"),
        ("steps: many", r"config\.yaml: steps must be a valid integer"),
        ("- 1", r"config\.yaml: must hold"),
        ("stepz: 3", r"config\.yaml: stepz is no setting"),
        ("seed: 18446744073709551616", r"config\.yaml: seed must be less than 9223372036854775808"),
    ],
)
def test_broken_settings_of_a_run_name_their_file(tmp_path, text, message):
    begun(tmp_path)
    (tmp_path / "run" / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        resumed(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(ValueError, match=r"resume must name a run folder, got .*run"):
        resumed(tmp_path)


@pytest.mark.parametrize("seed", ["-1", str(2**63), str(2**64), "2024-13-45", "1.5", "x: y"])
def test_a_seed_that_is_none_is_named_with_the_rule(seed):
    with pytest.raises(ValueError, match=r"^seed must be .*, got") as caught:
        Start(overrides=[f"seed={seed}"]).settings(Settings, PRESETS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch, variable):
    monkeypatch.setenv(variable, "4")
    with pytest.raises(
        ValueError, match=rf"--devices times --nodes must be 4, .*{variable}=4.*got 1"
    ):
        Start()
    Start(devices=2, nodes=2)
    monkeypatch.setenv(variable, "1")
    Start()


def test_options_that_were_given_come_last():
    assert with_options(None, {"seed": 0, "init": None}) == ["seed=0"]
