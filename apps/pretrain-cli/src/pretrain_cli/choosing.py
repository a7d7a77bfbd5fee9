"""`pretrain-cli label`: which points to annotate."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer
from torch import Tensor

from pcl_data import Scene
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.kept_split import check_split
from pcl_methods.outputs import check_outputs
from pcl_methods.pretraining.point_selection import (
    choose_as_published,
    choose_at_random,
    choose_by_features,
    choose_by_input,
    share_of_objects,
    write_choice,
    write_marked,
)
from pcl_methods.segmentation.encoding import EncodedScene, encode_scene
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config
from pretrain_cli.building import initial_backbone
from pretrain_cli.config import FINETUNE_PRESETS, FinetuneConfig

STRATEGIES = ("active", "csc_reference", "kmeans", "random")


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
    overwrite: bool = False,
) -> dict[str, Any]:
    """Choose points of every scene to learn from, and write which.

    `points{n}.npz` is the index file of the benchmark (one array of point numbers a scene), which
    `pretrain-cli finetune --budget ...` reads; `ply/<scene>.ply` shows the points in magenta.

    Raises:
        ValueError: if a setting, the strategy, the weights or a scene are not as they must be, or
            one of the files is there and `overwrite` is not given.
    """
    config = load_config(
        FinetuneConfig, presets=FINETUNE_PRESETS, preset=preset, file=file, overrides=overrides
    )
    split = open_split(config.data, scored=False)
    choose = _strategy(strategy, config, device)
    path = out / f"points{n_points}.npz"
    pictures = {name: out / "ply" / f"{name.replace('/', '_')}.ply" for name in split.training}
    files = [path, *(pictures.values() if ply else ())]
    inputs = [one for one in (config.data.root, config.init, Path(config.data.budget)) if one]
    check_outputs(files, overwrite=overwrite, inputs=inputs)
    check_split(split, _needs(strategy, config))
    chosen, shares = {}, []
    for name in split.training:
        scene = split.load(name)
        rows = choose(scene, n_points)
        chosen[name] = rows.numpy()
        shares.append(share_of_objects(scene, rows))
        if ply:
            write_marked(pictures[name], scene, chosen[name])
    write_choice(path, chosen)
    known = [share for share in shares if share is not None]
    return {
        "strategy": strategy,
        "points": n_points,
        "scenes": len(chosen),
        "object_coverage": float(np.nanmean(known)) if known else None,
        "file": str(path),
    }


def _strategy(word: str, config: FinetuneConfig, device: str) -> Callable[[Scene, int], Tensor]:
    """Points of a scene to annotate, by active labeling or by one of its baselines."""
    if word not in STRATEGIES:
        raise ValueError(f"strategy must be {', '.join(STRATEGIES)}, got {word}")
    if word == "random":
        return partial(choose_at_random, seed=config.seed)
    if word == "kmeans":
        return partial(choose_by_input, seed=config.seed)
    encode = _encoder(config, device)
    if word == "csc_reference":
        return partial(choose_as_published, encode=encode)
    return partial(choose_by_features, encode=encode, seed=config.seed)


def _needs(word: str, config: FinetuneConfig) -> SceneNeeds:
    """What a strategy reads of a scene."""
    if word == "random":
        return SceneNeeds()
    if word == "kmeans":
        return SceneNeeds(features="colors")
    return SceneNeeds(config.model.voxel_size, config.data.features)


def _encoder(config: FinetuneConfig, device: str) -> Callable[[Scene], EncodedScene]:
    """Features by pre-trained weights."""
    if config.init is None:
        raise ValueError("--init must name the pre-trained weights that choose, got none")
    backbone, _ = initial_backbone(config)
    backbone.to(choose_device(device))
    size, features = config.model.voxel_size, config.data.features
    return partial(encode_scene, backbone, voxel_size=size, features=features)


def print_choice(found: Mapping[str, Any], *, as_json: bool) -> None:
    """What was chosen, on stdout."""
    if as_json:
        print_json(found)
        return
    typer.echo("{points} points of each of {scenes} scenes ({strategy}) in {file}".format(**found))
    if found["object_coverage"] is not None:
        typer.echo(f"they hit {found['object_coverage']:.1%} of the objects of a scene")
