"""`twist-cli predict` and `evaluate`: a finished model on any scan."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer

from pcl_backbones import load_weights
from pcl_calibration import ClassCalibrationError
from pcl_data import LabelSet, Scene
from pcl_methods.cards import read_label_set, reading_card, trained_card
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_scored, with_other_data
from pcl_methods.kept_split import check_held_out, read_kept
from pcl_methods.segmentation.calibration import draw_calibration
from pcl_methods.segmentation.inference import Classes
from pcl_methods.segmentation.scoring import frequency_lines, score_split, shown_number
from pcl_methods.segmentation.segmenter import load_segmenter
from pcl_methods.segmentation.weights import weights_file
from pcl_methods.self_training.judgment import segment_scene
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.quality import SCORES
from pcl_methods.settings import DataConfig
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from twist_cli.building import build_model
from twist_cli.config import RunConfig


class Opened(NamedTuple):
    """A network of any app, as `predict` uses it."""

    find: Callable[[Scene], Classes]
    label_set: LabelSet
    check: Callable[[Scene], object]  # raises a ValueError of a scene that `find` cannot take


def load_model(
    path: Path, device: torch.device, data: Path | None = None, overrides: Sequence[str] = ()
) -> tuple[TwistModel, RunConfig]:
    """The networks of a weights file, and the settings they were made with.

    Raises:
        ValueError: if the file is no safetensors, or not made by twist-cli; if an override is no
            setting, or would change the network.
    """
    card = trained_card(path)
    if card.get("kind") != "twist":
        raise ValueError(f"model must be made by twist-cli run, got {path} ({card.get('kind')})")
    with reading_card(path):
        stored = {"model": with_other_data(card["config"], data)}
        trained = load_config(RunConfig, presets=stored, preset="model")
        label_set = read_label_set(card["label_set"])
    config = load_config(RunConfig, presets=stored, preset="model", overrides=overrides)
    config.model.check_trained(trained.model.model_dump(mode="json"))
    networks = build_model(config, label_set)
    load_weights(networks, path)
    return networks.to(device).eval(), config


def open_model(model: Path, device: str) -> Opened:
    """What gives the classes and instances of a scene, by a network of any app.

    Raises:
        ValueError: if there is no such model.
    """
    path, where = weights_file(model), choose_device(device)
    if trained_card(path).get("kind") != "twist":
        segmenter = load_segmenter(path, where)
        return Opened(segmenter, segmenter.label_set, segmenter.check)
    networks, config = load_model(path, where, overrides=["model.engine=torch"])
    find = partial(segment_scene, networks, reclassify=config.twist.rectify_at_test)
    needs = SceneNeeds(networks.voxel_size, networks.features)
    return Opened(find, networks.label_set, needs.check)


def evaluate_model(
    model: Path, data: Path | None, overrides: Sequence[str], device: str, diagram: Path | None
) -> dict[str, Any]:
    """Scores on the run's held-out scenes, or on the labeled scans of other data.

    With `diagram`, a PNG of how often each class is right where the network is how sure.

    Raises:
        ValueError: if an override is no setting, or would change the network.
    """
    path = weights_file(model)
    networks, config = load_model(path, choose_device(device), data, overrides)
    card, kept = trained_card(path), read_kept(path.parent)
    with reading_card(path):
        trained = DataConfig(**card["config"]["data"]).model_dump(mode="json")
        told = {"trained_on": str(card["data"]), "budget": str(card["budget"])}
    split = open_scored(config.data, trained, networks.label_set, kept)
    needs = SceneNeeds(networks.voxel_size, networks.features, scored=("labels", "instances"))
    check_held_out(split, needs, kept)
    table = ClassCalibrationError(networks.label_set.n_classes)
    scores = score_split(
        partial(segment_scene, networks, reclassify=config.twist.rectify_at_test),
        split,
        networks.label_set,
        **told,
        views=networks.views,
        min_region=config.min_region,
        table=table,
    )
    if diagram is not None:
        draw_calibration(table, networks.label_set, diagram, each_class=True)
    return scores


def print_scores(scores: Mapping[str, Any], *, as_json: bool) -> None:
    """One line a score, a frequency of classes and a predicted class, or JSON."""
    if as_json:
        return print_json(scores)
    for name in (*SCORES, "macc"):
        typer.echo(f"{name:<6}{shown_number(scores[name], '.3f')}")
    for line in frequency_lines(scores):
        typer.echo(line)
    width = max([len(row["class"]) for row in scores["calibration"]], default=5)
    typer.echo(f"{'class':<{width}}    points  accuracy  confidence   error")
    for row in scores["calibration"]:
        typer.echo(
            f"{row['class']:<{width}}  {row['points']:>8}  {row['accuracy']:>8.3f}  "
            f"{row['confidence']:>10.3f}  {row['error']:>+6.3f}"
        )
    typer.echo(f"protocol {scores['protocol']}")
    return None
