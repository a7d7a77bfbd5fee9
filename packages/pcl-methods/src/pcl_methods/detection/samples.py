"""Training samples of detection: augmented points and voxels of a scene, and its boxes.

The augmentation is that of Qi et al., "VoteNet", ICCV 2019: mirrored, turned a little, and scaled.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from pcl_data import LabelSet, Scene, augmentation, voxelize
from pcl_methods.detection.scene_boxes import moved_boxes, scene_boxes
from pcl_methods.segmentation.features import FeatureKind, point_features


@dataclass(frozen=True)
class BoxSampling:
    """What a network sees of a scene; the defaults are VoteNet's for ScanNet.

    Args:
        voxel_size: metres.
        n_points: random points, some twice where there are fewer; none: one of each voxel.
        features: what is read of a point besides its place.
        oriented: whether boxes are turned; else they lie along the axes.
        max_turn: about the vertical axis, radians.
        scales: least and largest.
        flipped: axes that are mirrored, by chance.
    """

    voxel_size: float = 0.025
    n_points: int | None = None
    features: FeatureKind = "colors"
    oriented: bool = False
    max_turn: float = np.pi / 36
    scales: tuple[float, float] = (1.0, 1.0)
    flipped: tuple[int, ...] = (0, 1)


def detection_sample(
    scene: Scene, label_set: LabelSet, sampling: BoxSampling, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """One augmented scene with its boxes.

    Args:
        scene: as `scene_boxes` takes it, with the features that are asked for.
        label_set: of its labels.
        sampling: how.
        rng: source of every random choice.

    Returns:
        coords (v, 3): voxel of each point, points (v, 3) metres, of the same origin: a point lies
        in [coords, coords + 1) * voxel_size; features (v, c), boxes (k, 8) around these points,
        n_boxes (1,), and where instances are annotated of_point (v,): the row of the box of each
        point, -1 none.
    """
    matrix = _random_map(sampling, rng)
    moved = replace(
        scene,
        points=(scene.points @ matrix.T).astype(np.float32),
        normals=None,
        boxes=None
        if scene.boxes is None
        else moved_boxes(scene.boxes, matrix, oriented=sampling.oriented).astype(np.float32),
    )
    found, seen = scene_boxes(moved, label_set), seen_points(moved, sampling, rng)
    boxes = found.boxes.astype(float)
    boxes[:, :3] -= seen.origin
    values = seen.features
    if sampling.features == "colors":
        half = np.float32(0.5)
        values = augmentation.chromatic_changes(values + half, rng) - half
    sample = {
        "coords": seen.coords,
        "points": seen.points,
        "features": values,
        "boxes": boxes.astype(np.float32),
        "n_boxes": np.array([len(boxes)]),
    }
    return sample if found.of_point is None else sample | {"of_point": found.of_point[seen.rows]}


class SeenPoints(NamedTuple):
    """The points of a scene that a network sees."""

    coords: Int32[np.ndarray, "v 3"]  # voxel of each point, from 0
    points: Float32[np.ndarray, "v 3"]  # metres from the origin
    features: Float32[np.ndarray, "v c"]
    rows: Int64[np.ndarray, " v"]  # of the scene
    origin: Float64[np.ndarray, " 3"]  # metres, a corner of a voxel


def seen_points(scene: Scene, sampling: BoxSampling, rng: np.random.Generator) -> SeenPoints:
    """One point of each voxel of a scene, or so many at random.

    Args:
        scene: with the features that are asked for.
        sampling: how.
        rng: source of the random choice.
    """
    size = sampling.voxel_size
    origin = np.floor(scene.points.min(axis=0).astype(float) / size) * size
    points = (scene.points - origin).astype(np.float32)
    grid = voxelize(points, size)
    rows, coords = grid.index, grid.coords
    if sampling.n_points is not None:
        rows = rng.choice(len(points), sampling.n_points, len(points) < sampling.n_points)
        coords = grid.coords[grid.inverse[rows]]
    features = point_features(scene, sampling.features)[rows]
    return SeenPoints(coords, points[rows], features, rows, origin)


def _random_map(sampling: BoxSampling, rng: np.random.Generator) -> np.ndarray:
    signs = np.ones(3)
    for axis in sampling.flipped:
        signs[axis] = -1 if rng.random() < 0.5 else 1
    turn = augmentation.random_rotation(rng, max_angles=(0.0, 0.0, sampling.max_turn))
    return turn @ augmentation.random_scaling(rng, bounds=sampling.scales) @ np.diag(signs)
