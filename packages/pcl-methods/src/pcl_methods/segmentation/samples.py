"""Training samples: scenes augmented, voxelised, with their targets.

The augmentations are those of Contrastive Scene Contexts' downstream tasks (Hou et al., CVPR 2021).
"""

from collections.abc import Callable

import numpy as np

from pcl_data import Scene, augmentation, voxelize
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.scene_grid import compact


def labeled_sample(
    split: SceneSplit,
    name: str,
    rng: np.random.Generator,
    *,
    instances: bool,
    voxel_size: float,
    elastic: bool = True,
    features: FeatureKind = "colors",
) -> dict[str, np.ndarray]:
    """`training_sample` of a scene with the labels that its budget allows.

    Args:
        split: the scenes and their budget.
        name: of a labeled scene.
        rng: source of every random choice.
        instances: whether instances are learned.
        voxel_size: metres.
        elastic: whether to distort.
        features: what the network reads.

    Raises:
        ValueError: if the scene lacks what is to be learned.
    """
    scene = split.load_labeled(name, instances=instances)
    assert scene.labels is not None  # load_labeled has checked
    return training_sample(
        scene,
        scene.labels,
        scene.instances if instances else None,
        None,
        rng,
        voxel_size=voxel_size,
        elastic=elastic,
        features=features,
    )


def training_sample(
    scene: Scene,
    labels: np.ndarray,
    groups: np.ndarray | None,
    centers: np.ndarray | None,
    rng: np.random.Generator,
    *,
    voxel_size: float,
    elastic: bool = True,
    features: FeatureKind = "colors",
    annotated_first: bool = True,
) -> dict[str, np.ndarray]:
    """One augmented scene on voxels, with labels, instances and offset targets.

    Given centres go through the same rotation, flip and scale as the points; elastic distortion
    moves points only, and a centre by the mean displacement of its points.

    A voxel has features, label and instance of its first annotated point; of its first point where
    none is annotated. So a few annotated points of a scene are not lost among the others, neither
    here nor in the thinning (to half a voxel) that comes first: one gives way to another alone.
    A scene of which every point is annotated is the same either way.

    Args:
        scene: points in metres, with the features that are asked for.
        labels: (n,) train ids, -1 not annotated.
        groups: (n,) instance or kept proposal of each point, -1 none; none: no instances at all.
        centers: (m, 3) centres of the groups in scene coordinates; none: their means.
        rng: source of every random choice.
        voxel_size: metres.
        elastic: whether to distort; not for LiDAR.
        features: what the network reads (`point_features`); colours are changed, intensity is not.
        annotated_first: as above; False: a voxel has all of its first point, annotated or not, for
            labels in which -1 is a decision and not a gap, such as pseudo-labels.

    Returns:
        coords (v, 3), features (v, c), points (v, 3), point_index (v,): the row of the scene that
        each voxel has everything of, labels (v,); with groups also instances (v,) and
        centers (v, 3): the target centre of each voxel, zero without an instance.
    """
    matrix = augmentation.random_linear_map(rng).astype(np.float32)
    origin = scene.points.mean(axis=0)
    labels = np.asarray(labels)
    order = np.arange(len(labels))
    if annotated_first:
        order = np.argsort(labels < 0, kind="stable")
    keep = order[voxelize(scene.points[order], voxel_size / 2).index]  # thins dense scans
    points = (scene.points[keep] - origin) @ matrix.T
    moved = augmentation.elastic_distortions(points, rng) if elastic else points
    grid = voxelize(moved, voxel_size)
    kept = augmentation.drop_voxels(len(grid.coords), rng)
    rows = grid.index[kept]
    values = point_features(scene, features)[keep][rows]
    if features == "colors":
        half = np.float32(0.5)
        values = augmentation.chromatic_changes(values + half, rng) - half
    sample = {
        "coords": compact(grid.coords[kept]),
        "features": values,
        "points": moved[rows].astype(np.float32),
        "point_index": keep[rows],
        "labels": labels[keep][rows].astype(np.int64),
    }
    if groups is not None:
        groups = np.asarray(groups)[keep]
        place = None if centers is None else lambda ids: (centers[ids] - origin) @ matrix.T
        sample["instances"] = groups[rows].astype(np.int64)
        sample["centers"] = _target_centers(points, moved, groups, place)[rows].astype(np.float32)
    return sample


def _target_centers(
    points: np.ndarray,
    moved: np.ndarray,
    groups: np.ndarray,
    place: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """The centre of each point's group after distortion, (n, 3); zero where it has none.

    Args:
        points: (n, 3) before distortion.
        moved: (n, 3) after it.
        groups: (n,), -1 none.
        place: the centres of these groups before distortion; none: the groups' means.
    """
    has_group = groups >= 0
    groups = groups[has_group]
    target = np.zeros_like(moved)
    if place is None:
        target[has_group] = _group_means(moved[has_group], groups)
    else:
        displacement = _group_means((moved - points)[has_group], groups)
        target[has_group] = place(groups) + displacement
    return target


def _group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each value's group, (n, 3)."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse, column) for column in values.T], axis=1)
    return (sums / np.maximum(counts, 1)[:, None]).astype(values.dtype)[inverse]
