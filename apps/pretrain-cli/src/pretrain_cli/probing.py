"""`pretrain-cli probe`: how much of the classes a backbone knows as it stands."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from pcl_data.evaluation import ScoreProtocol
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.kept_split import check_split
from pcl_methods.segmentation.encoding import encode_scene
from pcl_methods.segmentation.probing import PROBES, probe_scores
from pcl_methods.segmentation.scoring import shown_number
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.building import initial_backbone
from pretrain_cli.config import FINETUNE_PRESETS, FinetuneConfig


def probe(
    kinds: Sequence[str],
    *,
    preset: str,
    file: Path | None,
    overrides: Sequence[str],
    device: str,
) -> list[dict[str, Any]]:
    """Scores of each kind of probe on the held-out scenes, a row each.

    Raises:
        ValueError: if a setting is not as it must be, or there are no held-out scenes with labels.
    """
    config = load_config(
        FinetuneConfig, presets=FINETUNE_PRESETS, preset=preset, file=file, overrides=overrides
    )
    for kind in kinds:
        if kind not in PROBES:
            raise ValueError(f"kinds must be of {', '.join(PROBES)}, got {kind}")
    split = open_split(config.data)
    assert split.label_set is not None  # open_split has checked
    size, features = config.model.voxel_size, config.data.features
    check_split(split, SceneNeeds(size, features, learned=("labels",), scored=("labels",)))
    torch.manual_seed(config.seed)
    backbone, init = initial_backbone(config)
    backbone.to(choose_device(device))
    found = probe_scores(
        partial(encode_scene, backbone, voxel_size=size, features=features),
        {kind: PROBES[kind] for kind in kinds},
        [split.load_labeled(name) for name in split.labeled],
        [split.load(name) for name in split.validation],
        split.label_set,
        max_voxels=config.probe_voxels,
        protocol=ScoreProtocol(
            data=split.data, split="held-out", views=1, budget=split.budget.name
        ),
    )
    name = "random" if init is None else init.card.get("method", init.card.get("kind"))
    return [{"probe": kind, "init": name, **scores} for kind, scores in found.items()]


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The scores of the probes on stdout."""
    if as_json:
        print_json(list(rows))
        return
    for row in rows:
        typer.echo("{probe:>8}  {init}  mIoU {miou}  mAcc {macc}".format(**_shown(row)))
    typer.echo(f"protocol {rows[0]['protocol']}")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, **{name: shown_number(row[name], ".4f") for name in ("miou", "macc")}}
