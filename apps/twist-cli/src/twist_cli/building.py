"""The configuration as arguments of the method: the one place where it is taken apart."""

from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric

from pcl_data import LabelSet
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.features import FEATURES
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.weights import load_backbone
from pcl_methods.self_training.batches import BatchContents
from pcl_methods.self_training.labeling import Labeling
from pcl_methods.self_training.networks import TwistModel, build_recorrector
from pcl_methods.self_training.objective import RecorrectorTraining
from pcl_methods.self_training.proposals import Clustering
from pcl_methods.self_training.quality import Scoring
from pcl_methods.self_training.rounds import RoundTraining, SelfTraining, Twist
from pcl_run.run import Run
from pcl_run.training import make_optimizer
from twist_cli.config import RunConfig, TrainConfig


def build_model(config: RunConfig, label_set: LabelSet) -> TwistModel:
    """Φ and Ψ with weights drawn from the seed."""
    torch.manual_seed(config.seed)
    model, twist = config.model, config.twist
    channels = FEATURES["colors"]
    backbone = build_backbone(
        model.backbone, channels, width=model.width, norm_momentum=model.bn_momentum
    )
    network = SegmentationNetwork(backbone, label_set.n_classes)
    reads_backbone = twist.recorrector_features == "backbone"
    recorrector = build_recorrector(
        backbone.feature_channels if reads_backbone else channels,
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
        recorrector_reads="backbone" if reads_backbone else "input",
    )


def start_model(config: RunConfig, label_set: LabelSet) -> TwistModel:
    """What round 0 starts from: weights of the seed, Φ's backbone from `config.init` if given."""
    model = build_model(config, label_set)
    if config.init is not None:
        expected = config.model.model_dump(include={"backbone", "width"}) | {"features": "colors"}
        assert isinstance(model.network, SegmentationNetwork)  # as build_model makes it
        load_backbone(model.network.backbone, config.init, expected)
    return model


def twist_of(config: RunConfig) -> Twist:
    """The method."""
    return Twist(
        training=training_of(config.train),
        n_rounds=config.twist.rounds,
        labeling=labeling_of(config),
        recorrection=recorrection_of(config),
        scoring=Scoring(config.min_region, config.twist.rectify_at_test),
    )


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
        batch=BatchContents(train.labeled_scenes, train.unlabeled_scenes, train.elastic),
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
    return SelfTraining(
        run, fabric, split, model, twist_of(config), config.seed, config.train.loop_options()
    )


def model_card(config: RunConfig, scores: dict[str, Any], protocol: str) -> dict[str, Any]:
    """What a weights file must say to be used and trusted elsewhere."""
    return {
        "kind": "twist",
        "config": config.model_dump(mode="json"),
        "label_set": config.data.label_set,
        "voxel_size": config.model.voxel_size,
        "colors": "uint8 / 255 - 0.5",
        "scores": scores,
        "protocol": protocol,
    }
