"""Training batches: labeled scenes first, then scenes with their pseudo-labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from pcl_data import Scene
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.batches import Kept, Sample, SceneBatches, SceneSource
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.samples import training_sample
from pcl_methods.segmentation.scene_grid import scene_grid
from pcl_methods.self_training.networks import TwistModel
from pcl_pseudolabel import PseudoLabels

LoadScene = Callable[[str], Scene]
LoadPseudoLabels = Callable[[str], PseudoLabels]
N_CACHED = 64  # scenes of either kind that stay in memory


@dataclass(frozen=True)
class BatchContents:
    """What a batch holds.

    Args:
        labeled_scenes: scenes with labels.
        unlabeled_scenes: scenes with pseudo-labels.
        elastic: whether scenes are distorted; not for LiDAR.
    """

    labeled_scenes: int = 4
    unlabeled_scenes: int = 4
    elastic: bool = True


def twist_batches(
    model: TwistModel,
    split: SceneSplit,
    contents: BatchContents,
    pseudo: LoadPseudoLabels | None,
    seed: Sequence[int],
    *,
    weak_view: bool = False,
    soft: bool = False,
    rank: int = 0,
    n_ranks: int = 1,
) -> SceneBatches:
    """The batches of a round, functions of (seed, step) alone.

    `is_labeled` tells the voxels of labeled scenes from those of pseudo-labeled ones.

    Args:
        model: says on which voxels, with which features.
        split: labeled and unlabeled scenes.
        contents: how many of each a batch holds.
        pseudo: gives the pseudo-labels of an unlabeled scene; none: labeled scenes only.
        seed: of the run, and the number of the round.
        weak_view: whether there are `weak_coords` (v, 3) and `weak_features` (v, c): the voxel that
            the point of each voxel lies in without any augmentation, and its features.
        soft: whether there are `class_targets` (v, k), which a pseudo-label may spread over the
            classes.
        rank: of this process.
        n_ranks: how many processes there are.
    """
    make = partial(
        _two_views if weak_view else training_sample,
        voxel_size=model.voxel_size,
        elastic=contents.elastic,
        features=model.features,
    )
    load = Kept(partial(split.load_labeled, instances=True), N_CACHED)
    # Of a scene with labels at a few points these come first; in other labels -1 is a decision.
    labeled = partial(make, annotated_first=split.budget.annotations is not None)
    n_classes = model.label_set.n_classes if soft else None
    sample = partial(_labeled_sample, labeled, load, n_classes)
    sources = [SceneSource(split.labeled, contents.labeled_scenes, sample)]
    if pseudo is not None:
        load = Kept(split.load, N_CACHED)
        make = partial(make, annotated_first=False)
        sample = partial(_pseudo_sample, make, load, pseudo, n_classes)
        sources.append(SceneSource(split.unlabeled, contents.unlabeled_scenes, sample))
    return SceneBatches(sources, seed, rank=rank, n_ranks=n_ranks)


def _two_views(
    scene: Scene, *arguments: Any, voxel_size: float, features: FeatureKind, **how: Any
) -> Sample:
    """A training sample, and the same points without augmentation."""
    sample = training_sample(scene, *arguments, voxel_size=voxel_size, features=features, **how)
    rows = sample["point_index"]
    grid = scene_grid(scene.points[rows], voxel_size)
    weak = {"weak_coords": grid.coords[grid.inverse]}
    return sample | weak | {"weak_features": point_features(scene, features)[rows]}


def _labeled_sample(
    make: Callable[..., Sample],
    load: LoadScene,
    n_classes: int | None,
    name: str,
    rng: np.random.Generator,
) -> Sample:
    scene = load(name)
    assert scene.labels is not None  # load_labeled has checked
    sample = make(scene, scene.labels, scene.instances, None, rng)
    sample |= {"is_labeled": np.ones(len(sample["labels"]), bool)}
    return sample if n_classes is None else sample | _class_targets(sample, n_classes, None)


def _pseudo_sample(
    make: Callable[..., Sample],
    load: LoadScene,
    load_pseudo: LoadPseudoLabels,
    n_classes: int | None,
    name: str,
    rng: np.random.Generator,
) -> Sample:
    pseudo = load_pseudo(name)
    targets = (one.numpy() for one in (pseudo.labels, pseudo.proposals, pseudo.centers))
    sample = make(load(name), *targets, rng)
    sample |= {"is_labeled": np.zeros(len(sample["labels"]), bool)}
    if n_classes is None:
        return sample
    return sample | _class_targets(sample, n_classes, pseudo.class_probabilities)


def _class_targets(sample: Sample, n_classes: int, of_proposals: Tensor | None) -> Sample:
    """What each voxel learns of the classes: its label, or what its proposal says."""
    targets = np.eye(n_classes, dtype=np.float32)[sample["labels"]]  # of -1: not learned
    if of_proposals is not None:
        proposals = sample["instances"]
        targets[proposals >= 0] = of_proposals.numpy()[proposals[proposals >= 0]]
    return {"class_targets": targets}
