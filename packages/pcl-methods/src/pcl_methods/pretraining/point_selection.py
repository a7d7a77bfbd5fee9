"""Which points of a scene to annotate: by pre-trained features, or by one of the baselines.

Section 4.1 of Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene
Contexts" (CSC), CVPR 2021. Each choice is a function of a scene, whose other arguments
`functools.partial` fills in.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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
from pcl_methods.segmentation.encoding import EncodedScene

Encode = Callable[[Scene], EncodedScene]
MARK = np.array([255, 0, 255], np.uint8)  # color of a point to annotate


def choose_by_features(scene: Scene, n_points: int, *, encode: Encode, seed: int = 0) -> Tensor:
    """The points nearest to the centers of k-means on features and coordinates.

    Args:
        scene: whose points are chosen.
        n_points: how many.
        encode: features of a scene, such as `partial(encode_scene, backbone, voxel_size=0.02)`.
        seed: of the points that the centers begin at.
    """
    return select_points_to_label(_features(scene, encode), _points(scene), n_points, seed=seed)


def choose_as_published(scene: Scene, n_points: int, *, encode: Encode) -> Tensor:
    """The choice of CSC's program: features beside colors of 0 to 255. Arguments as above.

    Raises:
        ValueError: if the scene has no colors.
    """
    features = _features(scene, encode)
    return select_points_csc_reference(features, _colors(scene), _points(scene), n_points)


def choose_by_input(scene: Scene, n_points: int, *, seed: int = 0) -> Tensor:
    """A baseline: k-means on colors and coordinates.

    Raises:
        ValueError: if the scene has no colors.
    """
    return select_points_by_input(_colors(scene), _points(scene), n_points, seed=seed)


def choose_at_random(scene: Scene, n_points: int, *, seed: int = 0) -> Tensor:
    """A baseline: any points."""
    return select_points_at_random(len(scene.points), n_points, seed=seed)


def share_of_objects(scene: Scene, rows: Tensor) -> float | None:
    """Share of the instances of a scene that have a chosen point; None without instances."""
    if scene.instances is None:
        return None
    return object_coverage(rows, torch.from_numpy(np.array(scene.instances)))


def write_choice(path: Path, chosen: Mapping[str, np.ndarray]) -> None:
    """The index file of CSC's benchmark: one array of point numbers a scene.

    `pcl_data.splits.listed_annotation_budget` reads it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as handle:
        np.savez(handle, allow_pickle=False, **chosen)


def write_marked(path: Path, scene: Scene, rows: np.ndarray) -> None:
    """A scene as a PLY file, with the chosen points in magenta."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(scene.points), 3)
    colors = np.full(shape, 160, np.uint8) if scene.colors is None else np.array(scene.colors)
    colors[rows] = MARK
    write_ply(path, scene.points, colors=colors, origin=scene.origin)


def _features(scene: Scene, encode: Encode) -> Tensor:
    encoded = encode(scene)
    return encoded.features.cpu()[encoded.inverse]


def _points(scene: Scene) -> Tensor:
    return torch.from_numpy(np.array(scene.points))


def _colors(scene: Scene) -> Tensor:
    if scene.colors is None:
        raise ValueError(f"scene {scene.name} must have colors to choose by, got none")
    return torch.from_numpy(scene.colors.astype(np.float32) / 255)
