"""`twist-cli predict` and `evaluate`: a finished model on any scan."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcl_backbones import load_weights, read_card
from pcl_data.datasets import SceneFolder
from pcl_data.export import write_ply
from pcl_run.cli import choose_device
from pcl_run.config import load_config
from twist_cli.config import RunConfig
from twist_cli.evaluation import evaluate_scenes
from twist_cli.inference import find_instances, predict_scene
from twist_cli.network import build_networks
from twist_cli.objective import TwistObjective
from twist_cli.scenes import LABEL_SETS, Split, open_split
from twist_cli.self_training import WEIGHTS


def load_model(model: Path, device: torch.device) -> TwistObjective:
    """The networks of a run folder or of its weights file.

    Raises:
        ValueError: if the file is missing, no safetensors, or not made by twist-cli.
    """
    path = model / WEIGHTS if model.is_dir() else model
    if not path.is_file():
        raise ValueError(f"model must be a finished run or a weights file, got {model}")
    card = read_card(path)
    if card.get("kind") != "twist":
        raise ValueError(f"model must be made by twist-cli run, got {path} ({card.get('kind')})")
    config = RunConfig.model_validate(card["config"])
    label_set = LABEL_SETS[config.data.label_set]
    objective = TwistObjective(config, label_set, *build_networks(config, label_set.n_classes))
    load_weights(objective, path)
    return objective.to(device).eval()


def predict_scans(scans: Sequence[Path], model: Path, out: Path, device: str) -> list[dict]:
    """A PLY for each scan, with class colour, label, instance and confidence of every point."""
    where = choose_device(device)
    objective = load_model(model, where)
    scenes = [
        (scan, folder, name)
        for scan in scans
        for folder in [
            SceneFolder(scan, label_ids="none", max_extent=objective.config.data.max_extent)
        ]
        for name in folder.names
    ]
    targets = [name for _, _, name in scenes]
    repeated = sorted({name for name in targets if targets.count(name) > 1})
    if repeated:
        raise ValueError(f"scans must have distinct names, got {repeated[0]} twice")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for scan, folder, name in scenes:
        scene = folder[folder.names.index(name)]
        found = find_instances(objective, predict_scene(objective, scene, where))
        file = out / f"{name}.ply"
        write_ply(
            file,
            scene.points,
            colors=np.asarray(objective.label_set.colors, np.uint8)[found.labels],
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
    where = choose_device(device)
    objective = load_model(model, where)
    base = objective.config.model_dump(mode="json")
    config = load_config(
        RunConfig, presets={"model": base}, preset="model", file=None, overrides=overrides
    )
    if config.model != objective.config.model:
        raise ValueError(f"model settings must stay as they were trained, got {list(overrides)}")
    objective.config = config
    if data is None:
        split = open_split(config.data, config.seed)
    else:
        folder = SceneFolder(
            data,
            label_set=objective.label_set,
            label_ids=config.data.label_ids,
            max_extent=config.data.max_extent,
        )
        split = Split(folder, objective.label_set, (), (), tuple(folder.names))
    return evaluate_scenes(objective, split, split.validation, where)
