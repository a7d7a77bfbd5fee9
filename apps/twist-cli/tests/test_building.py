"""Tests of twist_cli.building: every setting reaches the method."""

import pytest
import torch

from pcl_data import SCANNET20
from pcl_methods.self_training.labeling import Labeling, ProposalCorrection
from pcl_methods.self_training.soft_targets import TargetOptions
from pcl_methods.self_training.teacher import Teaching
from pcl_run.config import load_config
from twist_cli.building import build_model, training_of, twist_of
from twist_cli.config import PRESETS, RunConfig

SMALL = ("model.backbone=res16unet14a", "model.width=0.25")


def load(*overrides: str, preset: str = "paper") -> RunConfig:
    return load_config(RunConfig, presets=PRESETS, preset=preset, file=None, overrides=[*overrides])


def test_the_paper_preset_is_the_default_of_the_method():
    twist = twist_of(load())
    assert twist.labeling == Labeling()
    assert (twist.n_rounds, twist.training.steps_of(0), twist.training.steps_of(1)) == (
        3,
        10_000,
        10_000,
    )
    assert twist.recorrection == type(twist.recorrection)()
    assert twist.training.batch == type(twist.training.batch)()


def test_soft_labels_and_corrections_are_settings():
    assert twist_of(load()).teaching is None
    assert twist_of(load("calibration.strength=3")).correction == ProposalCorrection()
    words = ("scenes=2", "targets=corrected", "strength=3", "weight=0.5", "momentum=0.9")
    twist = twist_of(load(*(f"calibration.{word}" for word in (*words, "proposals=true"))))
    assert twist.teaching == Teaching(TargetOptions("corrected", strength=3.0), 0.9, 0.5)
    assert twist.correction == ProposalCorrection(confidence=3.0)
    assert not twist.labeling.soft
    twist = twist_of(load("calibration.scenes=1", "calibration.proposal_targets=corrected"))
    assert twist.correction == ProposalCorrection(targets=2.0)
    assert twist.labeling.soft
    soft = twist_of(load("calibration.proposal_targets=soft"))
    assert (soft.labeling.soft, soft.correction) == (True, ProposalCorrection())
    one_hot = twist_of(load("calibration.targets=one-hot", "calibration.threshold=0.9"))
    assert one_hot.teaching.targets == TargetOptions("one-hot", threshold=0.9)


@pytest.mark.parametrize("kind", ["semantic", "offset", "points", "proposals"])
def test_rows_of_table_4(kind):
    """Only row VI trains the re-correction network."""
    twist = twist_of(load(f"twist.pseudo_labels={kind}"))
    assert (twist.labeling, twist.recorrection) == (Labeling(kind), None)
    supervised = twist_of(load("twist.pseudo_labels=none"))
    assert (supervised.labeling, supervised.recorrection) == (None, None)


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("twist.rounds", 1, lambda twist: twist.n_rounds),
        ("train.initial_steps", 7, lambda twist: twist.training.steps_of(0)),
        ("train.steps", 8, lambda twist: twist.training.steps_of(1)),
        ("train.freeze_bn_fraction", 0.5, lambda twist: twist.training.freeze_bn_fraction),
        ("train.labeled_batch_size", 2, lambda twist: twist.training.batch.labeled_scenes),
        ("train.unlabeled_batch_size", 3, lambda twist: twist.training.batch.unlabeled_scenes),
        ("train.elastic", False, lambda twist: twist.training.batch.elastic),
        ("twist.score_threshold", 0.1, lambda twist: twist.labeling.score_threshold),
        ("twist.class_threshold", 0.2, lambda twist: twist.labeling.class_threshold),
        ("twist.point_threshold", 0.3, lambda twist: twist.labeling.point_threshold),
        ("twist.stuff_threshold", 0.4, lambda twist: twist.labeling.stuff_threshold),
        ("twist.offset_to_semantic", False, lambda twist: not twist.labeling.pointwise_classes),
        ("twist.recorrector_start", 5, lambda twist: twist.recorrection.first_step),
        ("twist.max_proposals", 6, lambda twist: twist.recorrection.max_proposals),
        ("twist.mutate", False, lambda twist: twist.recorrection.mutate),
        ("twist.transform", False, lambda twist: twist.recorrection.transform),
        ("min_region", 9, lambda twist: twist.scoring.min_region),
        ("twist.rectify_at_test", True, lambda twist: twist.scoring.reclassify),
        ("calibration.targets", "soft", lambda twist: twist.teaching.targets.kind),
        ("calibration.smoothing", "uniform", lambda twist: twist.smoothing.kind),
    ],
)
def test_settings_of_the_method(setting, value, found):
    assert found(twist_of(load(f"{setting}={value}"))) == value


def test_settings_of_the_networks():
    settings = ("model.voxel_size=0.1", "twist.cluster_radius=2", "twist.min_points=3")
    first, again, other = (
        build_model(load(*SMALL, *settings, f"seed={seed}"), SCANNET20) for seed in (0, 0, 1)
    )
    assert (first.voxel_size, first.clustering.radius, first.clustering.min_points) == (0.1, 0.2, 3)
    assert not first.clustering.class_agnostic
    weights = [next(model.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    colors = ("twist.recorrector_features=colors", "twist.semantic_to_offset=false")
    table = build_model(load(*SMALL, *colors), SCANNET20)
    assert table.recorrector_reads == "input"
    assert table.clustering.class_agnostic


def test_either_network_has_its_learning_rate():
    config = load("train.learning_rate=0.2", "train.recorrector_learning_rate=0.3")
    training = training_of(config.train)
    module = torch.nn.Linear(1, 1)
    rates = [
        make(module).param_groups[0]["lr"]
        for make in (training.optimizer, training.recorrector_optimizer)
    ]
    assert rates == [0.2, 0.3]
