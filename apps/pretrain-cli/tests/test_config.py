"""Tests of pretrain_cli.config."""

import pytest

from pcl_appkit.config import load_config
from pretrain_cli.config import (
    FINETUNE_PRESETS,
    PRETRAIN_PRESETS,
    FinetuneConfig,
    PretrainConfig,
)
from pretrain_cli.finetuning import scored_steps


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
    assert (lidar.train.scenes, lidar.train.learning_rate) == (96, 0.06)
    assert (lidar.teacher.queue_size, lidar.teacher.momentum) == (300_000, 0.999)
    assert (lidar.sspl.n_clusters, lidar.sspl.n_negatives) == (64, 20_000)
    assert (lidar.sspl.student_crop, lidar.sspl.teacher_crop) == (0.1, 0.5)


@pytest.mark.parametrize(
    ("n_steps", "count", "steps"), [(100, 1, {100}), (100, 4, {85, 90, 95, 100}), (6, 2, {5, 6})]
)
def test_checkpoints_of_the_last_steps_are_scored(n_steps, count, steps):
    assert scored_steps(n_steps, count) == steps
