"""Tests of twist_cli.config."""

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


@pytest.mark.parametrize(
    "word", ["targets=corrected", "proposals=true", "proposal_targets=corrected"]
)
def test_what_is_corrected_takes_scenes_that_measure(word):
    with pytest.raises(ConfigError, match=r"scenes must be at least 1 where targets or .*, got 0"):
        load(f"calibration.{word}")
    assert load(f"calibration.{word}", "calibration.scenes=1").calibration.scenes == 1


def test_soft_proposals_need_the_network_that_judges_them():
    with pytest.raises(
        ConfigError, match=r"proposal_targets must be one-hot .* got soft with prop"
    ):
        load("calibration.proposal_targets=soft", "twist.pseudo_labels=proposals")


def test_similarity_needs_a_network_that_knows_something():
    with pytest.raises(ConfigError, match=r"init must name a run .*, got none with similarity"):
        load("calibration.smoothing=similarity")
    load("calibration.smoothing=frequency", "init=runs/first")
    load("calibration.smoothing=uniform")


def test_a_teacher_needs_unlabeled_scenes():
    words = ("train.unlabeled_batch_size=0", "twist.pseudo_labels=none")
    with pytest.raises(ConfigError, match=r"train\.unlabeled_batch_size must be at least 1"):
        load(*words, "calibration.targets=soft")


@pytest.mark.parametrize("schema", [RunConfig])
def test_every_renamed_setting_names_one_that_there_is(schema):
    for form in schema.renamed.values():
        name, equals, value = form.partition("=")
        assert equals
        assert "{}" in value
        assert name.startswith("data.options.") or name in flatten(schema())


@pytest.mark.parametrize(
    ("word", "new", "value"),
    [
        ("data.n_rooms=8", "data.n_scenes", 8),
        ("data.n_labeled=3", "data.budget", "3scenes"),
        ("data.label_set=nyu40", "data.options.label_set", "nyu40"),
        ("train.labeled_scenes=1", "train.labeled_batch_size", 1),
        ("train.frozen_norm=0.5", "train.freeze_bn_fraction", 0.5),
        ("model.norm_momentum=0.25", "model.bn_momentum", 0.25),
    ],
)
def test_a_setting_that_was_renamed_is_read_as_the_new_one(word, new, value):
    with pytest.warns(UserWarning, match=f"{word.partition('=')[0]} is now {new}: it is read as"):
        config = load_config(RunConfig, presets={}, overrides=[word])
    assert flatten(config)[new] == value
