"""`twist-cli predict` and `evaluate`: a finished model on any scan."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcl_backbones import load_weights, read_card
from pcl_data.datasets import SceneFolder
from pcl_data.export import write_ply
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.self_training.judgment import segment_scene
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.quality import evaluate_scenes
from pcl_run.cli import choose_device
from pcl_run.config import load_config
from twist_cli.building import build_model, twist_of
from twist_cli.config import RunConfig
from twist_cli.running import WEIGHTS
from twist_cli.scenes import LABEL_SETS, load_scene, open_split


def load_model(
    model: Path, device: torch.device, overrides: Sequence[str] = ()
) -> tuple[TwistModel, RunConfig]:
    """The networks of a run folder or of its weights file, and the settings they were made with.

    Raises:
        ValueError: if the file is missing, no safetensors, or not made by twist-cli; if an override
            is no setting, or would change the network.
    """
    path = model / WEIGHTS if model.is_dir() else model
    if not path.is_file():
        raise ValueError(f"model must be a finished run or a weights file, got {model}")
    card = read_card(path)
    if card.get("kind") != "twist":
        raise ValueError(f"model must be made by twist-cli run, got {path} ({card.get('kind')})")
    trained = RunConfig.model_validate(card["config"])
    base = {"model": trained.model_dump(mode="json")}
    config = load_config(RunConfig, presets=base, preset="model", file=None, overrides=overrides)
    if config.model != trained.model:
        raise ValueError(f"model settings must stay as they were trained, got {list(overrides)}")
    networks = build_model(config, LABEL_SETS[config.data.label_set])
    load_weights(networks, path)
    return networks.to(device).eval(), config


def predict_scans(scans: Sequence[Path], model: Path, out: Path, device: str) -> list[dict]:
    """A PLY for each scan, with class colour, label, instance and confidence of every point."""
    networks, config = load_model(model, choose_device(device))
    reclassify = config.twist.rectify_at_test
    scenes = [
        (scan, folder, name)
        for scan in scans
        for folder in [SceneFolder(scan, label_ids="none", max_extent=config.data.max_extent)]
        for name in folder.names
    ]
    targets = [name for _, _, name in scenes]
    repeated = sorted({name for name in targets if targets.count(name) > 1})
    if repeated:
        raise ValueError(f"scans must have distinct names, got {repeated[0]} twice")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for scan, folder, name in scenes:
        scene = folder.load(name)
        found = segment_scene(networks, scene, reclassify=reclassify)
        file = out / f"{name}.ply"
        write_ply(
            file,
            scene.points,
            colors=np.asarray(networks.label_set.colors, np.uint8)[found.labels],
            labels=found.labels,
            instances=found.instances,
            confidence=found.confidence,
        )
        summary = f"{len(scene.points)} points, {len(found.scores)} instances"
        rows.append({"scan": str(scan), "file": str(file), "summary": summary})
    return rows


def evaluate_model(
    model: Path, data: Path | None, overrides: Sequence[str], device: str
) -> dict[str, Any]:
    """Scores on the run's held-out scenes, or on every scan of the folder `data`.

    Raises:
        ValueError: if an override is no setting, or would change the network.
    """
    networks, config = load_model(model, choose_device(device), overrides)
    if data is None:
        split = open_split(config.data, config.seed)
    else:
        folder = SceneFolder(
            data,
            label_set=networks.label_set,
            label_ids=config.data.label_ids,
            max_extent=config.data.max_extent,
        )
        names, nothing = tuple(folder.names), LabelBudget("none", ())
        load = partial(load_scene, folder, names)
        split = SceneSplit(f"folder:{data.name}", networks.label_set, (), names, nothing, load)
    return evaluate_scenes(networks, split, twist_of(config).scoring)
