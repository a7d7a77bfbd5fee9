"""Training samples of label-free segmentation: augmented voxels and what images say of them."""

from typing import NamedTuple

import numpy as np
import torch

from pcl_clip3d import sample_in_sets, vote_in_views
from pcl_data import Scene, augmentation, voxelize
from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.scene_grid import compact


class SampleOptions(NamedTuple):
    """How samples are made; the defaults are those of the paper for ScanNet."""

    voxel_size: float = 0.05  # metres
    features: FeatureKind = "colors"
    elastic: bool = False
    max_views: int = 8  # of a scene in an epoch
    n_samples: int = 1024  # voxels of a scene whose correlation is learned


def refine_in_sets(found: ImageLabels, n_classes: int) -> np.ndarray:
    """Refined labels: in each view the commonest label of each set, (m,) int64 (section 3.2)."""
    columns = (found.labels, found.sets[found.point_index], found.views)
    labels, sets, views = (torch.from_numpy(column) for column in columns)
    return vote_in_views(labels, sets, views, n_classes=n_classes).numpy()


def image_label_sample(
    scene: Scene,
    found: ImageLabels,
    labels: np.ndarray,
    n_classes: int,
    rng: np.random.Generator,
    options: SampleOptions,
) -> dict[str, np.ndarray]:
    """One augmented scene on voxels, with the labels of some of its views.

    Every pair of a point and a view is a label of the voxel that the point lies in. Sampled are
    voxels that have one, in proportion to their sets; each takes the label of one of its pairs, at
    random. A voxel is of the set of its first point.

    Args:
        scene: points in metres, with the features that are asked for.
        found: of its frames.
        labels: (m,) label of each row of `found`, refined or not.
        n_classes: of the labels.
        rng: source of every random choice.
        options: how.

    Returns:
        coords (v, 3), features (v, c), votes (v, n_classes): how many pairs have each label,
        sampled (v,): the label of a sampled voxel, -1 of others, instances (v,): its set, numbered
        anew, and set_features (s, d) of these sets.
    """
    rows = _some_views(found.views, options.max_views, rng)
    coords, first, voxel_of = _augmented_voxels(scene, rng, options)
    voxel = voxel_of[found.point_index[rows]]
    kept = voxel >= 0
    voxel, label = voxel[kept], labels[rows][kept]
    n_voxels = len(coords)
    votes = np.bincount(voxel * n_classes + label, minlength=n_voxels * n_classes)
    sets, set_features = _numbered(found.sets[first], found.set_features)
    values = point_features(scene, options.features)[first]
    if options.features == "colors":
        half = np.float32(0.5)
        values = augmentation.chromatic_changes(values + half, rng) - half
    return {
        "coords": coords,
        "features": values,
        "votes": votes.reshape(n_voxels, n_classes).astype(np.float32),
        "sampled": _sampled(voxel, label, sets, options.n_samples, rng),
        "instances": sets,
        "set_features": set_features,
    }


def _some_views(views: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of so many views at random, of all where there are no more; views ascend."""
    starts = np.flatnonzero(np.diff(views, prepend=-1))
    if len(starts) <= count:
        return np.arange(len(views))
    ends = np.append(starts[1:], len(views))
    chosen = np.sort(rng.choice(len(starts), count, replace=False))
    return np.concatenate([np.arange(starts[view], ends[view]) for view in chosen])


def _augmented_voxels(
    scene: Scene, rng: np.random.Generator, options: SampleOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels (v, 3), the first point of each (v,), the voxel of every point (n,), -1 dropped."""
    matrix = augmentation.random_linear_map(rng).astype(np.float32)
    points = (scene.points - scene.points.mean(axis=0)) @ matrix.T
    if options.elastic:
        points = augmentation.elastic_distortions(points, rng)
    grid = voxelize(points, options.voxel_size)
    kept = augmentation.drop_voxels(len(grid.coords), rng)
    number = np.full(len(grid.coords), -1)
    number[kept] = np.arange(len(number[kept]))
    return compact(grid.coords[kept]), grid.index[kept], number[grid.inverse]


def _numbered(sets: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sets numbered by what is there, -1 none, and the features of each."""
    ids, inverse = np.unique(sets, return_inverse=True)
    shift = int(len(ids) > 0 and ids[0] < 0)
    return inverse.astype(np.int64) - shift, features[ids[shift:]]


def _sampled(
    voxel: np.ndarray, label: np.ndarray, sets: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """The label of each sampled voxel, -1 of those that are not."""
    order = rng.permutation(len(voxel))[::-1]
    first = np.full(len(sets), -1)
    first[voxel[order]] = order  # of several rows of a voxel the last one stays
    paired = np.flatnonzero(first >= 0)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    of_sets = torch.from_numpy(sets[paired])
    chosen = sample_in_sets(of_sets, count, generator=generator).numpy()
    sampled = np.full(len(sets), -1, np.int64)
    sampled[paired[chosen]] = label[first[paired[chosen]]]
    return sampled
