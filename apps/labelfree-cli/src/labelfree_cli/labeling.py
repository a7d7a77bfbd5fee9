"""`labelfree-cli labels`: labels of points from images, scene by scene, in shares."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor

from labelfree_cli.building import classes_of, store_of, visibility_of
from labelfree_cli.config import ImagesConfig, RunConfig
from labelfree_cli.encoders import Encoders, encode_classes, license_of, open_clip_model
from labelfree_cli.scenes import needs_of, open_scenes
from pcl_clip3d import DenseClip
from pcl_data import LabelSet, Scene
from pcl_data.splits import SceneSplit
from pcl_methods.checking import check_scenes
from pcl_methods.labelfree.geometric_sets import geometric_sets
from pcl_methods.labelfree.image_labels import ImageLabels, label_images
from pcl_methods.labelfree.label_store import LabelStore
from pcl_methods.labelfree.pixel_labels import PixelLabeling
from pcl_methods.shares import share_of
from pcl_run.cli import choose_device, print_json


def open_encoders(config: RunConfig, label_set: LabelSet, device: torch.device) -> Encoders:
    """The image encoder and the texts of the classes."""
    clip = open_clip_model(config.images, device)
    text_features = encode_classes(clip, config.classes, label_set)
    return Encoders(clip, text_features.to(device), license_of(config.images))


def label_scene(
    scene: Scene, images: ImagesConfig, clip: DenseClip, text_features: Tensor
) -> ImageLabels:
    """What the images of one scene say of its points."""
    return label_images(
        scene,
        clip,
        text_features,
        geometric_sets(scene, images.sets),
        visibility=visibility_of(images),
        labeling=PixelLabeling(images.denoise, images.smooth_keys, images.mirrored),
        agreement=images.agreement,
    )


def label_scenes(
    config: RunConfig,
    split: SceneSplit,
    names: Sequence[str],
    store: LabelStore,
    encoders: Encoders,
) -> Iterator[dict[str, Any]]:
    """Label what the store lacks of the scenes; a row of facts for each scene that was made."""
    for name in names:
        if name in store:
            store.load(name)  # whole, and of these settings
            continue
        started = time.perf_counter()
        scene = split.load(name)
        found = label_scene(scene, config.images, encoders.clip, encoders.text_features)
        store.save(name, found)
        yield {
            "scene": name,
            "frames": len(scene.frames),
            "points": len(scene.points),
            "seen": len(np.unique(found.point_index)),
            "sets": len(found.set_features),
            "bytes": store.nbytes(name),
            "dense_bytes": found.dense_bytes(encoders.text_features.shape[1]),
            "seconds": time.perf_counter() - started,
        }


def write_labels(config: RunConfig, out: Path, share: str | None, device: str) -> dict[str, Any]:
    """Label the training scenes, or a share of them, into a folder; what was made.

    Raises:
        ValueError: if a scene cannot be read, or the folder holds labels of other settings.
    """
    split = open_scenes(config.data)
    label_set = classes_of(config, split)
    check_scenes(split, needs_of(config.data, None))
    encoders = open_encoders(config, label_set, choose_device(device))
    store = store_of(config, out, encoders.clip, label_set)
    rows = []
    for row in label_scenes(config, split, share_of(split.training, share), store, encoders):
        typer.echo(_shown(row), err=True)
        rows.append(row)
    totals = {key: sum(row[key] for row in rows) for key in ("bytes", "dense_bytes", "seconds")}
    kept = sum(name in store for name in split.training)
    return {"scenes": rows, "in_folder": kept, "license": encoders.license, **totals}


def _shown(row: Mapping[str, Any]) -> str:
    seen = row["seen"] / row["points"]
    return (
        f"{row['scene']}: {row['frames']} frames see {seen:.0%} of {row['points']} points, "
        f"{row['sets']} sets, {row['seconds']:.1f} s"
    )


def print_labels(made: Mapping[str, Any], *, as_json: bool) -> None:
    """What was made and the disk it uses, or JSON."""
    if as_json:
        return print_json(made)
    typer.echo(f"{len(made['scenes'])} scenes labeled, {made['in_folder']} in the folder")
    typer.echo(
        f"{made['bytes'] / 2**20:.1f} MiB; dense features would take "
        f"{made['dense_bytes'] / 2**20:.0f} MiB"
    )
    typer.echo(f"license of the weights: {made['license']}")
    return None
