"""A scene through Φ (and Ψ): classes and instances for every input point."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pcl_data import Scene, voxelize
from pcl_pseudolabel import proposal_confidence, vote_proposal_labels
from twist_cli.network import VoxelPrediction
from twist_cli.objective import TwistObjective, detached_features, propose
from twist_cli.scenes import colors_of


@dataclass(frozen=True)
class ScenePrediction:
    """Φ and module A on the voxels of one scene, without augmentation."""

    points: Tensor  # (v, 3) the point that represents each voxel
    colors: Tensor  # (v, 3) in [-0.5, 0.5]
    inverse: Tensor  # (n,) the voxel of each input point
    voxels: VoxelPrediction
    proposals: Tensor  # (v,) -1 none
    proposal_labels: Tensor  # (m,) the class that module A gave them

    @property
    def n_proposals(self) -> int:
        """How many proposals the scene has."""
        return len(self.proposal_labels)


@dataclass(frozen=True)
class Instances:
    """The result for one scene: a class and an instance for every input point."""

    labels: np.ndarray  # (n,) train ids
    confidence: np.ndarray  # (n,) softmax of the class
    instances: np.ndarray  # (n,) -1 none
    instance_labels: np.ndarray  # (m,)
    scores: np.ndarray  # (m,) mean softmax of the class over the instance

    def masks(self) -> list[np.ndarray]:
        """The input points of each instance."""
        order = np.argsort(self.instances, kind="stable")
        edges = np.searchsorted(self.instances[order], np.arange(len(self.scores) + 1))
        return [order[first:last] for first, last in pairwise(edges)]


@torch.inference_mode()
def predict_scene(objective: TwistObjective, scene: Scene, device: torch.device) -> ScenePrediction:
    """Φ in evaluation mode on one scene, and its proposals."""
    objective.eval()
    grid = voxelize(scene.points, objective.config.model.voxel_size)
    coords = np.concatenate([np.zeros((len(grid.coords), 1), np.int32), grid.coords], axis=1)
    colors = colors_of(scene)[grid.index]
    arrays = (coords, colors, np.ascontiguousarray(scene.points[grid.index]), grid.inverse)
    coords, colors, points, inverse = (torch.from_numpy(array).to(device) for array in arrays)
    voxels = objective.network(coords, colors)
    batch_index = torch.zeros(len(points), dtype=torch.int64, device=device)
    everywhere = torch.ones_like(batch_index, dtype=torch.bool)
    proposals = propose(objective.config, objective.stuff, points, voxels, batch_index, everywhere)
    labels = vote_proposal_labels(voxels.logits.argmax(dim=1), proposals, _count(proposals))
    return ScenePrediction(points, colors, inverse, voxels, proposals, labels)


def _count(proposals: Tensor) -> int:
    return int(proposals.max()) + 1 if len(proposals) else 0


@torch.inference_mode()
def rectify(
    objective: TwistObjective, prediction: ScenePrediction
) -> tuple[Tensor, Tensor, Tensor]:
    """Module B: re-predicted class, certainty score and confidence in the class; (m,) each.

    The confidence is that of both networks: Ψ's softmax times the mean of Φ's over the proposal.
    """
    labels = prediction.proposal_labels
    if prediction.n_proposals == 0:
        nothing = torch.zeros_like(labels, dtype=torch.float32)
        return labels, nothing, nothing
    rows = torch.nonzero(prediction.proposals >= 0).flatten()
    features = detached_features(objective.config, prediction.voxels, prediction.colors)
    output = objective.recorrector(
        prediction.points[rows], features[rows], prediction.proposals[rows], prediction.n_proposals
    )
    things = objective.label_set.things
    labels, scores = output.rectify(things)
    probabilities = prediction.voxels.logits.softmax(dim=1)
    of_points = proposal_confidence(probabilities, prediction.proposals, labels)
    return labels, scores, of_points * output.class_confidence(things)


def find_instances(objective: TwistObjective, prediction: ScenePrediction) -> Instances:
    """The instances of a scene as they are scored: disjoint, one class each (2.5 of CSC's code).

    An instance keeps its points of every input point; `min_region` is the evaluator's rule.
    """
    probabilities = prediction.voxels.logits.softmax(dim=1)
    confidence, labels = probabilities.max(dim=1)
    instance_labels = prediction.proposal_labels
    if objective.config.twist.rectify_at_test:
        instance_labels = rectify(objective, prediction)[0]
    scores = proposal_confidence(probabilities, prediction.proposals, instance_labels)
    inverse = prediction.inverse
    return Instances(
        labels[inverse].cpu().numpy(),
        confidence[inverse].cpu().numpy(),
        prediction.proposals[inverse].cpu().numpy(),
        instance_labels.cpu().numpy(),
        scores.cpu().numpy(),
    )
