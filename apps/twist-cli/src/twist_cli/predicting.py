"""`twist-cli predict` and `evaluate`: a finished model on any scan."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from pcl_backbones import load_weights, read_card
from pcl_data import LabelSet, Scene
from pcl_methods.data import open_scored, with_other_data
from pcl_methods.segmentation.inference import Classes
from pcl_methods.segmentation.scoring import score_split
from pcl_methods.segmentation.segmenter import load_segmenter, read_label_set
from pcl_methods.segmentation.weights import weights_file
from pcl_methods.self_training.judgment import segment_scene
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.quality import SCORES
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from twist_cli.building import build_model
from twist_cli.config import RunConfig


def load_model(
    path: Path, device: torch.device, data: Path | None = None, overrides: Sequence[str] = ()
) -> tuple[TwistModel, RunConfig]:
    """The networks of a weights file, and the settings they were made with.

    Raises:
        ValueError: if the file is no safetensors, or not made by twist-cli; if an override is no
            setting, or would change the network.
    """
    card = read_card(path)
    if card.get("kind") != "twist":
        raise ValueError(f"model must be made by twist-cli run, got {path} ({card.get('kind')})")
    base = {"model": with_other_data(card["config"], data)}
    config = load_config(RunConfig, presets=base, preset="model", file=None, overrides=overrides)
    config.model.check_trained(card["config"]["model"])
    networks = build_model(config, read_label_set(card["label_set"]))
    load_weights(networks, path)
    return networks.to(device).eval(), config


def open_model(model: Path, device: str) -> tuple[Callable[[Scene], Classes], LabelSet]:
    """What gives the classes and instances of a scene, by a network of any app.

    Raises:
        ValueError: if there is no such model.
    """
    path, where = weights_file(model), choose_device(device)
    if read_card(path).get("kind") != "twist":
        segmenter = load_segmenter(path, where)
        return segmenter, segmenter.label_set
    networks, config = load_model(path, where, overrides=["model.engine=torch"])
    find = partial(segment_scene, networks, reclassify=config.twist.rectify_at_test)
    return find, networks.label_set


def evaluate_model(
    model: Path, data: Path | None, overrides: Sequence[str], device: str
) -> dict[str, Any]:
    """Scores on the run's held-out scenes, or on the labeled scans of other data.

    Raises:
        ValueError: if an override is no setting, or would change the network.
    """
    path = weights_file(model)
    networks, config = load_model(path, choose_device(device), data, overrides)
    card = read_card(path)
    return score_split(
        partial(segment_scene, networks, reclassify=config.twist.rectify_at_test),
        open_scored(config.data, card["config"]["data"], networks.label_set),
        networks.label_set,
        trained_on=card["data"],
        budget=card["budget"],
        min_region=config.min_region,
    )


def print_scores(scores: Mapping[str, Any], *, as_json: bool) -> None:
    """One line a score, or JSON."""
    if as_json:
        return print_json(scores)
    for name in (*SCORES, "macc"):
        typer.echo(f"{name:<6}{scores[name]:.3f}")
    typer.echo(f"protocol {scores['protocol']}")
    return None
