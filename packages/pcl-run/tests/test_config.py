"""Tests of pcl_run.config."""

from pathlib import Path
from typing import ClassVar, Literal

import pytest
import yaml
from pydantic import Field

from pcl_run.config import Config, ConfigError, flatten, load_config, to_yaml


class Twist(Config):
    rounds: int = Field(3, ge=0)
    kind: Literal["points", "proposals"] = "points"
    names: tuple[str, ...] = ()


class Train(Config):
    learning_rate: float = 0.1
    steps: int = 10


class Root(Config):
    renamed: ClassVar = {
        "train.rate": "train.learning_rate={}",
        "one_kind": "twist.kind={}s",
        "n": "twist.names, such as a,b",
    }
    seed: int = 0
    data: Path | None = None
    twist: Twist = Twist()
    train: Train = Train(steps=77)


PRESETS = {"quick": {"train": {"steps": 5}, "seed": 1}}


def load(file=None, preset=None, overrides=()):
    return load_config(Root, presets=PRESETS, preset=preset, file=file, overrides=overrides)


def test_later_layers_win(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("train: {steps: 6, learning_rate: 1e-3}\nseed: 2\n")
    config = load(file, "quick", ["train.steps=7", "twist.names=[a, b]"])
    assert (config.train.steps, config.train.learning_rate, config.seed) == (7, 1e-3, 2)
    assert config.twist.names == ("a", "b")
    assert load(preset="quick").train.steps == 5


def test_a_group_keeps_its_own_defaults_when_one_key_is_set():
    assert load(overrides=["train.learning_rate=1"]).train.steps == 77


def test_resolved_configuration_reads_back(tmp_path):
    config = load(preset="quick", overrides=["data=/scans", "train.learning_rate=1e-05"])
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert load(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["twist.round=3"], r"^twist.round is no setting; did you mean twist.rounds\?$"),
        (["rounds=3"], r"^rounds is no setting; did you mean twist.rounds\?$"),
        (["twits.rounds=3"], r"^twits is no setting; did you mean twist\?$"),
        (["twist.rounds=-1"], "^twist.rounds must be greater than or equal to 0, got -1$"),
        (["twist.rounds=many"], "^twist.rounds must be a valid integer.*, got 'many'$"),
        (["twist.kind=pointz"], "^twist.kind must be 'points' or 'proposals', got 'pointz'$"),
        (["train.learning_rate=.nan"], "^train.learning_rate must be a finite number, got nan$"),
        (["twist=4"], "^twist must be a valid dictionary.*, got 4$"),
        (["twist.rounds"], "^override must look like group.key=value, got twist.rounds$"),
        (["train.steps=[3"], r"^train.steps must be YAML, got \[3$"),
        (["train.rate.x=3"], r"^train.rate is now train.learning_rate$"),
        (["n=3"], r"^n is now twist.names, such as a,b$"),
        (
            ["train.rate=3", "train.learning_rate=3"],
            r"^train.learning_rate must be given once, got also train.rate, its old name$",
        ),
    ],
)
def test_rejects_on_one_line(overrides, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(overrides=overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["file", "override"])
def test_an_old_name_is_read_as_the_new_one_with_a_warning(tmp_path, how):
    file, overrides = None, ["train.rate=0.25", "one_kind=proposal"]
    if how == "file":
        file, overrides = tmp_path / "old.yaml", []
        file.write_text("train: {rate: 0.25, steps: 4}\none_kind: proposal\ntwist: {rounds: 1}\n")
    with pytest.warns(UserWarning, match="is now") as caught:
        config = load(file, overrides=overrides)
    assert (config.train.learning_rate, config.twist.kind) == (0.25, "proposals")
    words = sorted(str(one.message).removeprefix(f"{file}: ") for one in caught)
    assert words == [
        "one_kind is now twist.kind: it is read as twist.kind=proposals",
        "train.rate is now train.learning_rate: it is read as train.learning_rate=0.25",
    ]


def test_a_file_that_gives_both_names_is_an_error(tmp_path):
    (tmp_path / "both.yaml").write_text("train: {rate: 3, learning_rate: 3}\n")
    with pytest.raises(ConfigError, match=r"train.learning_rate must be given once"):
        load(tmp_path / "both.yaml")


def test_a_later_layer_wins_over_an_old_name(tmp_path):
    (tmp_path / "old.yaml").write_text("train: {rate: 3}\n")
    with pytest.warns(UserWarning, match="old.yaml: train.rate is now"):
        assert load(tmp_path / "old.yaml", None, ["train.learning_rate=2"]).train.learning_rate == 2


def test_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigError, match="preset must be one of quick, got quik"):
        load(preset="quik")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\ntwist: [1\nx: y\n", r"run.yaml: is not YAML in line 3"),
        ("- 1\n", "must hold `key: value` lines, got list"),
        ("sed: 1\n", "did you mean seed"),
    ],
)
def test_broken_files(tmp_path, text, message):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path / "run.yaml")


def test_missing_file_and_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("")
    assert load(tmp_path / "empty.yaml") == Root()


def test_settings_by_path_and_as_yaml():
    assert flatten(Root())["twist.rounds"] == 3
    assert yaml.safe_load(to_yaml(Root()))["twist"]["rounds"] == 3
