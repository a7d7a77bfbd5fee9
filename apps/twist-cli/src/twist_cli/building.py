"""The configuration as arguments of the method: the one place where it is taken apart."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric

from pcl_data import LabelSet
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.features import FEATURES
from pcl_methods.segmentation.network import SegmentationNetwork
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.weights import InitialWeights, load_initial_weights
from pcl_methods.self_training.batches import BatchContents
from pcl_methods.self_training.labeling import Labeling, ProposalCorrection
from pcl_methods.self_training.measured_errors import hold_out
from pcl_methods.self_training.networks import TwistModel, build_recorrector
from pcl_methods.self_training.objective import RecorrectorTraining
from pcl_methods.self_training.proposals import Clustering
from pcl_methods.self_training.quality import SCORES, Scoring
from pcl_methods.self_training.rounds import RoundTraining, SelfTraining, Twist
from pcl_methods.self_training.smoothed_classes import Smoothing
from pcl_methods.self_training.soft_targets import TargetOptions
from pcl_methods.self_training.teacher import Teaching
from pcl_methods.settings import build_backbone
from pcl_run.run import Run
from pcl_run.training import make_optimizer
from twist_cli.config import CalibrationConfig, RunConfig, TrainConfig


def build_model(config: RunConfig, label_set: LabelSet) -> TwistModel:
    """Φ and Ψ with weights drawn from the seed."""
    torch.manual_seed(config.seed)
    model, twist = config.model, config.twist
    backbone = build_backbone(model, config.data.features)
    network = SegmentationNetwork(backbone, label_set.n_classes)
    reads_backbone = twist.recorrector_features == "backbone"
    recorrector = build_recorrector(
        backbone.feature_channels if reads_backbone else FEATURES[config.data.features],
        label_set.n_classes,
        voxel_size=model.voxel_size,
    )
    return TwistModel(
        network,
        recorrector,
        label_set,
        voxel_size=model.voxel_size,
        clustering=Clustering(
            twist.cluster_radius * model.voxel_size, twist.min_points, not twist.semantic_to_offset
        ),
        features=config.data.features,
        recorrector_reads="backbone" if reads_backbone else "input",
        views=model.views,
    )


def start_model(config: RunConfig, label_set: LabelSet) -> tuple[TwistModel, InitialWeights | None]:
    """What round 0 starts from: weights of the seed, and what fits of `config.init`."""
    model = build_model(config, label_set)
    if config.init is None:
        return model, None
    expected = config.model.identity() | {"features": config.data.features}
    init = load_initial_weights(model, config.init, expected=expected, label_set=label_set)
    return model, init


def twist_of(config: RunConfig) -> Twist:
    """The method."""
    return Twist(
        training=training_of(config.train),
        n_rounds=config.twist.rounds,
        labeling=labeling_of(config),
        teaching=teaching_of(config.calibration),
        correction=correction_of(config.calibration),
        recorrection=recorrection_of(config),
        smoothing=smoothing_of(config.calibration),
        scoring=Scoring(config.min_region, config.twist.rectify_at_test),
    )


def teaching_of(calibration: CalibrationConfig) -> Teaching | None:
    """The soft labels; none where there are to be none."""
    if calibration.targets == "none":
        return None
    options = TargetOptions(calibration.targets, calibration.threshold, calibration.strength)
    return Teaching(options, calibration.momentum, calibration.weight)


def correction_of(calibration: CalibrationConfig) -> ProposalCorrection:
    """What of proposals is corrected by calibration errors."""
    strength = calibration.strength
    return ProposalCorrection(
        strength if calibration.proposals else 0.0,
        strength if calibration.proposal_targets == "corrected" else 0.0,
    )


def smoothing_of(calibration: CalibrationConfig) -> Smoothing | None:
    """Of annotated classes; none where they are learned alone."""
    if calibration.smoothing == "none":
        return None
    return Smoothing(calibration.smoothing, calibration.epsilon)


def training_of(train: TrainConfig) -> RoundTraining:
    """One round of training."""
    recorrector_rate = train.recorrector_learning_rate
    return RoundTraining(
        optimizer=partial(make_optimizer, settings=train),
        recorrector_optimizer=partial(
            make_optimizer, settings=train, learning_rate=recorrector_rate
        ),
        steps=train.steps,
        initial_steps=train.initial_steps,
        freeze_bn_fraction=train.freeze_bn_fraction,
        batch=BatchContents(train.labeled_batch_size, train.unlabeled_batch_size, train.elastic),
    )


def labeling_of(config: RunConfig) -> Labeling | None:
    """The pseudo-labels; none for supervised training."""
    twist = config.twist
    if twist.pseudo_labels == "none":
        return None
    return Labeling(
        twist.pseudo_labels,
        score_threshold=twist.score_threshold,
        class_threshold=twist.class_threshold,
        point_threshold=twist.point_threshold,
        stuff_threshold=twist.stuff_threshold,
        pointwise_classes=not twist.offset_to_semantic,
        soft=config.calibration.proposal_targets != "one-hot",
    )


def recorrection_of(config: RunConfig) -> RecorrectorTraining | None:
    """How Ψ learns; not at all where it chooses no pseudo-labels."""
    twist = config.twist
    if twist.pseudo_labels != "recorrected":
        return None
    return RecorrectorTraining(
        twist.recorrector_start, twist.max_proposals, twist.mutate, twist.transform
    )


def self_training_of(
    config: RunConfig, run: Run, fabric: Fabric, split: SceneSplit, model: TwistModel
) -> SelfTraining:
    """One run of the method."""
    split, measured = hold_out(split, config.calibration.scenes)
    return SelfTraining(
        run,
        fabric,
        split,
        model,
        twist_of(config),
        measured,
        config.seed,
        config.train.loop_options(),
    )


def model_card(
    config: RunConfig, split: SceneSplit, model: TwistModel, row: Mapping[str, Any]
) -> dict[str, Any]:
    """What a weights file must say to be used and trusted elsewhere."""
    assert isinstance(model.network, SegmentationNetwork)  # as build_model makes it
    segmenter = Segmenter(
        model.network,
        model.label_set,
        voxel_size=model.voxel_size,
        features=model.features,
        cluster_radius=config.twist.cluster_radius,
        min_points=config.twist.min_points,
        views=model.views,
    )
    return {
        "kind": "twist",
        **segmenter.card(config.model.backbone, config.model.width),
        "data": split.data,
        "budget": split.budget.name,
        "config": config.model_dump(mode="json"),
        "scores": {key: row[key] for key in SCORES},
        "protocol": row["protocol"],
    }
