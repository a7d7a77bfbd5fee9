"""What is learned where a class is annotated: a little of similar and rare classes too.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, Eq. 1-3.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pcl_calibration import (
    ClassPrototypes,
    class_similarity,
    similarity_smoothing,
    smooth_labels,
    uniform_smoothing,
)
from pcl_data import Scene
from pcl_data.splits import SceneSplit
from pcl_methods.self_training.judgment import see_scene
from pcl_methods.self_training.networks import TwistModel

SmoothingKind = Literal["uniform", "similarity", "frequency"]


@dataclass(frozen=True)
class Smoothing:
    """How classes are smoothed.

    Args:
        kind: towards all classes alike (`uniform`), by similarity alone (`similarity`), or by
            similarity and rarity (`frequency`, Eq. 2).
        epsilon: what an annotated class gives away.
    """

    kind: SmoothingKind = "frequency"
    epsilon: float = 0.1


def smoothed_classes(model: TwistModel, split: SceneSplit, smoothing: Smoothing) -> Tensor:
    """What is learned of each class, (k, k): rows sum to one.

    The embedding of an instance is the mean of the features of its points, by the network as it is;
    the points of a class without instances are one instance a scene.

    Args:
        model: gives the features; it is in evaluation mode afterwards.
        split: its labeled scenes have the instances.
        smoothing: how.
    """
    n_classes = model.label_set.n_classes
    if smoothing.kind == "uniform":
        towards = uniform_smoothing(n_classes)
    else:
        prototypes = _prototypes(model, split)
        similarity = class_similarity(prototypes.compute())
        gamma = 1.5 if smoothing.kind == "frequency" else 0.0
        towards = similarity_smoothing(similarity, prototypes.counts, gamma=gamma)
    return smooth_labels(torch.eye(n_classes), towards.cpu(), epsilon=smoothing.epsilon)


def _prototypes(model: TwistModel, split: SceneSplit) -> ClassPrototypes:
    found: ClassPrototypes | None = None
    for name in split.labeled:
        embeddings, labels = instance_embeddings(model, split.load_labeled(name, instances=True))
        if found is None:
            found = ClassPrototypes(model.label_set.n_classes, embeddings.shape[1])
        found.update(embeddings, labels)
    assert found is not None  # a split that is learned from has labeled scenes
    return found


@torch.inference_mode()
def instance_embeddings(model: TwistModel, scene: Scene) -> tuple[Tensor, Tensor]:
    """The mean feature of each annotated instance, (m, c), and its class, (m,)."""
    seen = see_scene(model, scene)
    labels, instances = (torch.tensor(values) for values in (scene.labels, scene.instances))
    rows = (labels >= 0).nonzero()[:, 0]
    # An instance has points of one class; the points of stuff have -1 and their class.
    pairs = torch.stack([labels[rows], instances[rows]], dim=1)
    found, of_row = pairs.unique(dim=0, return_inverse=True)
    features = seen.voxels.features.cpu()[seen.inverse.cpu()[rows]]
    sums = features.new_zeros(len(found), features.shape[1]).index_add_(0, of_row, features)
    return sums / of_row.bincount(minlength=len(found))[:, None], found[:, 0]
