"""Tests of twist_cli.config."""

import re

import pytest

from pcl_run.config import ConfigError, flatten, load_config
from twist_cli.config import PRESETS, RunConfig


def load(*overrides: str, preset: str = "quick") -> RunConfig:
    return load_config(
        RunConfig, presets=PRESETS, preset=preset, file=None, overrides=list(overrides)
    )


def test_the_paper_preset_has_the_papers_values():
    config = load(preset="paper")
    train, twist = config.train, config.twist
    assert (train.steps, train.labeled_batch_size, train.unlabeled_batch_size) == (10_000, 4, 4)
    assert (train.learning_rate, train.recorrector_learning_rate) == (0.1, 0.005)
    assert (config.model.voxel_size, twist.score_threshold) == (0.02, 0.5)
    assert config.model.backbone == "res16unet34c"


def test_every_preset_is_valid():
    for preset in PRESETS:
        load(preset=preset)


def test_a_misspelt_key_names_the_nearest():
    with pytest.raises(ConfigError, match=r"twist\.round\b.*rounds"):
        load("twist.round=2")


def test_self_training_needs_unlabeled_scenes():
    with pytest.raises(ConfigError, match=r"train\.unlabeled_batch_size must be at least 1"):
        load("train.unlabeled_batch_size=0")
    config = load("train.unlabeled_batch_size=0", "twist.pseudo_labels=none")
    assert config.train.unlabeled_batch_size == 0


@pytest.mark.parametrize("schema", [RunConfig])
def test_every_renamed_setting_names_one_that_there_is(schema):
    for old, new in schema.renamed.items():
        words = f"{old} is now {new}"
        with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
            load_config(schema, presets={}, overrides=[f"{old}=1"])
        name = new.partition(",")[0]
        assert name.startswith("data.options.") or name in flatten(schema())
