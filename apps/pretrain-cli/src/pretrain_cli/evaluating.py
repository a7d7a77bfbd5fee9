"""Scores of a network on held-out scenes; `pretrain-cli evaluate` and `predict`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from pcl_backbones import use_engine
from pcl_methods.cards import reading_card, trained_card
from pcl_methods.data import open_scored, with_other_data
from pcl_methods.detection.box_finder import BoxFinder, load_box_finder
from pcl_methods.kept_split import check_held_out, read_kept
from pcl_methods.segmentation.scoring import score_split, shown_number
from pcl_methods.segmentation.segmenter import load_segmenter
from pcl_methods.segmentation.weights import weights_file
from pcl_methods.settings import DataConfig
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.config import FinetuneConfig
from pretrain_cli.detecting import score_detector
from pretrain_cli.finetuning import needs_of


def evaluate_model(
    model: Path, data: Path | None, overrides: Sequence[str], device: str
) -> dict[str, Any]:
    """Scores of a fine-tuned model on its held-out scenes, or on those that settings name.

    Args:
        model: run folder of `finetune`, or its weights.
        data: folder of other data, whose labeled scenes are all scored.
        overrides: settings over those of the run.
        device: auto, cpu or cuda.

    Raises:
        ValueError: if the weights are of no fine-tuned model, or there is no held-out scene.
    """
    path = weights_file(model)
    card, kept = trained_card(path), read_kept(path.parent)
    if card.get("kind") not in ("segmentation", "detection"):
        raise ValueError(f"model must be made by pretrain-cli finetune, got {card.get('kind')}")
    load = load_box_finder if card["kind"] == "detection" else load_segmenter
    found = load(path, choose_device(device))
    with reading_card(path):
        stored = {"stored": with_other_data(card["config"], data)}
        trained = load_config(FinetuneConfig, presets=stored, preset="stored")
        own = DataConfig(**card["config"]["data"]).model_dump(mode="json")
        told = {"trained_on": str(card["data"]), "budget": str(card["budget"])}
    config = load_config(FinetuneConfig, presets=stored, preset="stored", overrides=overrides)
    config.model.check_trained(trained.model.model_dump(mode="json"))
    use_engine(config.model.engine)
    split = open_scored(config.data, own, found.label_set, kept)
    check_held_out(split, needs_of(config), kept)
    if isinstance(found, BoxFinder):
        return score_detector(found, split, **told)
    views, min_region = config.model.views, config.min_region
    find, label_set = replace(found, views=views), found.label_set
    return score_split(find, split, label_set, **told, views=views, min_region=min_region)


def print_scores(scores: Mapping[str, Any], *, as_json: bool) -> None:
    """Scores on stdout."""
    if as_json:
        print_json(scores)
        return
    for name, value in scores.items():
        if isinstance(value, float):
            typer.echo(f"{name:>8} {shown_number(value, '.4f')}")
    typer.echo(f"protocol {scores['protocol']}")
