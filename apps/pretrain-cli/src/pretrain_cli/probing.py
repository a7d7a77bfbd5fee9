"""How much of the classes a backbone knows as it stands; `pretrain-cli probe`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor

from pcl_contrastive import fit_linear_probe, knn_probe
from pcl_data import LabelSet, Scene
from pcl_data.evaluation import ScoreProtocol, SemanticEvaluator
from pcl_methods.segmentation.features import FeatureKind
from pcl_methods.segmentation.network import Backbone
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.backbones import initial_backbone
from pretrain_cli.budgets import open_budget
from pretrain_cli.config import FINETUNE_PRESETS, FinetuneConfig
from pretrain_cli.encoding import encode_scene
from pretrain_cli.worlds import open_labeled_world

Classify = Callable[[Tensor], Tensor]
Probe = Callable[[Tensor, Tensor], Classify]


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
            raise ValueError(f"probe must be one of {', '.join(PROBES)}, got {kind}")
    world, label_set = open_labeled_world(config.data)
    budget = open_budget(config, world.training)
    torch.manual_seed(config.seed)
    backbone, card = initial_backbone(config.model, config.data.features, config.init)
    backbone.to(choose_device(device))
    found = probe_scores(
        backbone,
        {kind: PROBES[kind] for kind in kinds},
        [budget.limit(world.load(name)) for name in budget.scenes],
        [world.load(name) for name in world.validation],
        label_set,
        voxel_size=config.model.voxel_size,
        features=config.data.features,
        max_voxels=config.probe_voxels,
        budget=budget.name,
    )
    init = card.get("method", "random")
    return [{"probe": kind, "init": init, **scores} for kind, scores in found.items()]


def probe_scores(
    backbone: Backbone,
    probes: Mapping[str, Probe],
    labeled: Iterable[Scene],
    held_out: Iterable[Scene],
    label_set: LabelSet,
    *,
    voxel_size: float,
    features: FeatureKind,
    max_voxels: int,
    budget: str | None = None,
) -> dict[str, dict[str, Any]]:
    """mIoU and mAcc of each probe on every point of held-out scenes; each scene is encoded once.

    Args:
        backbone: whose features are probed; it does not change.
        probes: (features, labels) -> a function from other features to labels, by name.
        labeled: scenes that they learn from.
        held_out: scenes with labels.
        label_set: of the labels.
        voxel_size: metres.
        features: what the backbone reads.
        max_voxels: labelled voxels that they learn from; more are drawn from, always the same.
        budget: name of the labels, for the protocol.

    Raises:
        ValueError: if a held-out scene has no labels, or no labelled one has any.
    """
    settings = {"voxel_size": voxel_size, "features": features}
    known = [encode_scene(backbone, scene, **settings) for scene in labeled]
    rows = torch.cat([one.features for one in known])
    labels = torch.cat([one.labels for one in known]).to(rows.device)
    kept = torch.nonzero(labels >= 0).flatten().cpu()
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))
    kept = kept[order[:max_voxels]].to(rows.device)
    fitted = {name: probe(rows[kept], labels[kept]) for name, probe in probes.items()}
    protocol = ScoreProtocol(split="held-out", tta=False, budget=budget)
    evaluators = {name: SemanticEvaluator(label_set, protocol=protocol) for name in probes}
    for scene in held_out:
        if scene.labels is None:
            raise ValueError(f"scene {scene.name} must have labels to be scored, got none")
        encoded = encode_scene(backbone, scene, **settings)
        for name, classify in fitted.items():
            found = classify(encoded.features).cpu()
            evaluators[name].update(scene.labels, found[encoded.inverse].numpy())
    results = {name: evaluator.compute() for name, evaluator in evaluators.items()}
    return {
        name: {"miou": result.miou, "macc": result.macc, "protocol": result.protocol}
        for name, result in results.items()
    }


def neighbours(features: Tensor, labels: Tensor, *, n_neighbours: int = 20) -> Classify:
    """A probe: what the nearest voxels vote for."""
    return partial(knn_probe, features, labels, n_neighbours=n_neighbours)


PROBES: dict[str, Probe] = {"knn": neighbours, "linear": fit_linear_probe}


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The scores of the probes on stdout."""
    if as_json:
        print_json(list(rows))
        return
    for row in rows:
        typer.echo("{probe:>8}  {init}  mIoU {miou:.4f}  mAcc {macc:.4f}".format(**row))
    typer.echo(f"protocol {rows[0]['protocol']}")
