"""Scores of a network on held-out scenes; `pretrain-cli evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from pcl_backbones import load_weights
from pcl_backbones.weights import read_card
from pcl_data import Scene
from pcl_data.evaluation import ScoreProtocol
from pcl_methods.segmentation.features import FEATURES
from pcl_methods.segmentation.inference import (
    Classes,
    find_classes,
    find_instances,
    predict_scene,
    propose,
)
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.scoring import score_scenes
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.backbones import build_network
from pretrain_cli.config import FinetuneConfig
from pretrain_cli.worlds import World, open_labeled_world

WEIGHTS = "model.safetensors"


def evaluate_model(model: Path, overrides: Sequence[str], device: str) -> dict[str, Any]:
    """Scores of a fine-tuned model on its held-out scenes, or on those that settings name.

    Args:
        model: run folder of `finetune`, or its weights.
        overrides: settings over those of the run, such as data.root.
        device: auto, cpu or cuda.

    Raises:
        ValueError: if the weights are of no fine-tuned model, or there is no held-out scene.
    """
    path = model / WEIGHTS if model.is_dir() else model
    card = read_card(path)
    if card.get("kind") != "segmentation":
        raise ValueError(f"model must be a fine-tuned model, got {card.get('kind')} in {path}")
    settings = {"stored": card["config"]}
    config = load_config(FinetuneConfig, presets=settings, preset="stored", overrides=overrides)
    if config.model.model_dump() != card["config"]["model"]:
        raise ValueError("model settings must stay as they were trained, got others")
    world, label_set = open_labeled_world(config.data)
    backbone = build_backbone(
        config.model.backbone, FEATURES[config.data.features], width=config.model.width
    )
    network = build_network(config, backbone, label_set.n_classes)
    load_weights(network, path)
    budget = str(card["protocol"]).rpartition("/")[2]
    return score_network(network.to(choose_device(device)), config, world, budget)


def score_network(
    network: SegmentationNetwork, config: FinetuneConfig, world: World, budget: str
) -> dict[str, Any]:
    """mIoU, mAcc and for instances AP, AP50, AP25 on the held-out scenes, fractions.

    Args:
        network: as it stands.
        config: voxel size, features, and how instances are found.
        world: the scenes.
        budget: name of the labels it learned from, for the protocol.
    """
    assert world.label_set is not None  # checked where worlds are opened
    stuff = tuple(set(range(world.label_set.n_classes)) - set(world.label_set.things))
    device = next(network.parameters()).device

    def find(scene: Scene) -> Classes:
        prediction = predict_scene(
            network,
            scene,
            voxel_size=config.model.voxel_size,
            features=config.data.features,
            device=device,
        )
        voxels = prediction.voxels
        if voxels.offsets is None:
            return find_classes(prediction)
        proposals = propose(
            prediction.points,
            voxels.logits,
            voxels.offsets,
            prediction.batch_index,
            radius=config.cluster_radius * config.model.voxel_size,
            min_points=config.min_points,
            stuff=stuff,
        )
        return find_instances(prediction, proposals)

    return score_scenes(
        (world.load(name) for name in world.validation),
        find,
        world.label_set,
        protocol=ScoreProtocol(split="held-out", tta=False, budget=budget),
        min_region=config.min_region,
    )


def print_scores(scores: Mapping[str, Any], *, as_json: bool) -> None:
    """Scores on stdout."""
    if as_json:
        print_json(scores)
        return
    for name, value in scores.items():
        if isinstance(value, float):
            typer.echo(f"{name:>8} {value:.4f}")
    typer.echo(f"protocol {scores['protocol']}")
