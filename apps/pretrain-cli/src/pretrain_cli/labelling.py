"""`pretrain-cli label`: which points to annotate."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

from pcl_contrastive import (
    object_coverage,
    select_points_at_random,
    select_points_by_input,
    select_points_csc_reference,
    select_points_to_label,
)
from pcl_data import Scene
from pcl_data.atomic_files import whole_file
from pcl_data.export import write_ply
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.backbones import initial_backbone
from pretrain_cli.config import FINETUNE_PRESETS, FinetuneConfig
from pretrain_cli.encoding import encode_scene
from pretrain_cli.worlds import open_world

Strategy = Callable[[Scene], torch.Tensor]
MARK = np.array([255, 0, 255], np.uint8)  # colour of a point to annotate


def choose_points(
    strategy: str,
    n_points: int,
    out: Path,
    *,
    preset: str,
    file: Path | None,
    overrides: Sequence[str],
    device: str,
    ply: bool,
) -> dict[str, Any]:
    """Choose points of every scene to learn from, and write which.

    `points{n}.npz` is the index file of the benchmark (one array of point numbers a scene), which
    `pretrain-cli finetune budget=...` reads; `ply/<scene>.ply` shows the points in magenta.

    Raises:
        ValueError: if a setting, the strategy or the weights are not as they must be.
    """
    config = load_config(
        FinetuneConfig, presets=FINETUNE_PRESETS, preset=preset, file=file, overrides=overrides
    )
    world = open_world(config.data)
    choose = _strategy(strategy, n_points, config, device)
    chosen, coverage = {}, []
    for name in world.training:
        scene = world.load(name)
        rows = choose(scene)
        chosen[name] = rows.numpy()
        if scene.instances is not None:
            instances = torch.from_numpy(np.array(scene.instances))
            coverage.append(object_coverage(rows, instances))
        if ply:
            _write_marked(out / "ply" / f"{name.replace('/', '_')}.ply", scene, chosen[name])
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"points{n_points}.npz"
    with whole_file(path) as handle:
        np.savez(handle, **chosen)
    return {
        "strategy": strategy,
        "points": n_points,
        "scenes": len(chosen),
        "object_coverage": float(np.nanmean(coverage)) if coverage else None,
        "file": str(path),
    }


def _strategy(word: str, n_points: int, config: FinetuneConfig, device: str) -> Strategy:
    """Points of a scene to annotate, by active labelling or by one of its baselines."""
    seed = config.seed
    if word == "random":
        return lambda scene: select_points_at_random(len(scene.points), n_points, seed=seed)
    if word == "kmeans":
        return lambda scene: select_points_by_input(*_input(scene), n_points, seed=seed)
    if word not in ("active", "csc_reference"):
        raise ValueError(f"strategy must be active, csc_reference, kmeans or random, got {word}")
    if config.init is None:
        raise ValueError("--init must name the pre-trained weights that choose, got none")
    backbone, _ = initial_backbone(config.model, config.data.features, config.init)
    backbone.to(choose_device(device))

    def choose(scene: Scene) -> torch.Tensor:
        size, kind = config.model.voxel_size, config.data.features
        encoded = encode_scene(backbone, scene, voxel_size=size, features=kind)
        features = encoded.features.cpu()[encoded.inverse]
        if word == "csc_reference":
            return select_points_csc_reference(features, *_input(scene), n_points)
        return select_points_to_label(features, _points(scene), n_points, seed=seed)

    return choose


def _points(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(np.array(scene.points))


def _input(scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
    if scene.colors is None:
        raise ValueError(f"scene {scene.name} must have colours to choose by, got none")
    return torch.from_numpy(scene.colors.astype(np.float32) / 255), _points(scene)


def _write_marked(path: Path, scene: Scene, rows: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(scene.points), 3)
    colors = np.full(shape, 160, np.uint8) if scene.colors is None else np.array(scene.colors)
    colors[rows] = MARK
    write_ply(path, scene.points, colors=colors)


def print_choice(found: Mapping[str, Any], *, as_json: bool) -> None:
    """What was chosen, on stdout."""
    if as_json:
        print_json(found)
        return
    typer.echo("{points} points of each of {scenes} scenes ({strategy}) in {file}".format(**found))
    if found["object_coverage"] is not None:
        typer.echo(f"they hit {found['object_coverage']:.1%} of the objects of a scene")
