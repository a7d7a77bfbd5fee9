"""Tests of pretrain_cli.config."""

import pytest

from pcl_run.config import flatten, load_config
from pretrain_cli.config import (
    FINETUNE_PRESETS,
    PRETRAIN_PRESETS,
    FinetuneConfig,
    PretrainConfig,
)


@pytest.mark.parametrize("preset", PRETRAIN_PRESETS)
def test_every_preset_of_pretraining_is_valid(preset):
    load_config(PretrainConfig, presets=PRETRAIN_PRESETS, preset=preset)


@pytest.mark.parametrize("preset", FINETUNE_PRESETS)
def test_every_preset_of_fine_tuning_has_the_backbone_of_its_pretraining(preset):
    fine = load_config(FinetuneConfig, presets=FINETUNE_PRESETS, preset=preset)
    before = load_config(PretrainConfig, presets=PRETRAIN_PRESETS, preset=preset)
    assert fine.model.backbone == before.model.backbone
    assert fine.data.features == before.data.features


def test_the_paper_preset_holds_the_published_values():
    config = load_config(PretrainConfig, presets=PRETRAIN_PRESETS, preset="paper")
    assert (config.model.voxel_size, config.train.learning_rate) == (0.025, 0.1)
    assert (config.train.momentum, config.train.steps) == (0.8, 60_000)
    assert (config.contrast.n_matches, config.contrast.temperature) == (4096, 0.4)
    assert (config.contrast.inner_radius, config.contrast.outer_radius) == (0.05, 0.5)
    lidar = load_config(PretrainConfig, presets=PRETRAIN_PRESETS, preset="paper-lidar")
    assert (lidar.train.batch_size, lidar.train.learning_rate) == (96, 0.06)
    assert (lidar.teacher.queue_size, lidar.teacher.momentum) == (300_000, 0.999)
    assert (lidar.sspl.n_clusters, lidar.sspl.n_negatives) == (64, 20_000)
    assert (lidar.sspl.student_crop, lidar.sspl.teacher_crop) == (0.1, 0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["contrast.n_partitions=3"], "n_partitions"),
        (["contrast.inner_radius=0"], "inner_radius"),
        (["contrast.inner_radius=0.5"], "contrast.outer_radius must exceed"),
        (["method=byol", "train.batch_size=1"], "train.batch_size must be at least 2 with byol"),
        (["method=sspl", "contrast.pairs=there"], "only be given with pointcontrast or csc, got"),
    ],
)
def test_settings_that_cannot_work_are_rejected_before_the_run(words, message):
    with pytest.raises(ValueError, match=message):
        load_config(PretrainConfig, presets=PRETRAIN_PRESETS, preset="paper", overrides=words)


@pytest.mark.parametrize("schema", [PretrainConfig, FinetuneConfig])
def test_every_renamed_setting_names_one_that_there_is(schema):
    for form in schema.renamed.values():
        name, equals, value = form.partition("=")
        assert equals
        assert "{}" in value
        assert name.startswith("data.options.") or name in flatten(schema())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.backbone=pointnet2"], "model.backbone must be a U-Net .* got pointnet2 with sem"),
        (["task=detection", "model.backbone=pointnet2"], "model.backbone must be a U-Net unless"),
        (["task=detection", "train.lora_rank=8"], "lora_rank must be none .* got 8 and 0"),
        (["task=detection", "train.class_weight_exponent=0.5"], "got None and 0.5"),
    ],
)
def test_settings_of_detectors_that_cannot_work_are_rejected(words, message):
    with pytest.raises(ValueError, match=message):
        load_config(FinetuneConfig, presets=FINETUNE_PRESETS, preset="quick", overrides=words)
