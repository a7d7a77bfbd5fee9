"""Scores of a network on held-out scenes; `pretrain-cli evaluate` and `predict`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from pcl_backbones import read_card, use_engine
from pcl_methods.data import open_scored, with_other_data
from pcl_methods.segmentation.scoring import score_split
from pcl_methods.segmentation.segmenter import load_segmenter
from pcl_methods.segmentation.weights import weights_file
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.config import FinetuneConfig


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
    card = read_card(weights_file(model))
    if card.get("kind") != "segmentation":
        raise ValueError(f"model must be made by pretrain-cli finetune, got {card.get('kind')}")
    segmenter = load_segmenter(model, choose_device(device))
    settings = {"stored": with_other_data(card["config"], data)}
    config = load_config(FinetuneConfig, presets=settings, preset="stored", overrides=overrides)
    config.model.check_trained(card["config"]["model"])
    use_engine(config.model.engine)
    return score_split(
        segmenter,
        open_scored(config.data, card["config"]["data"], segmenter.label_set),
        segmenter.label_set,
        trained_on=card["data"],
        budget=card["budget"],
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
