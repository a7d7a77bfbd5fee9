"""A scene through Φ and module A, and Ψ's judgment of its proposals (module B).

Chu et al., "TWIST", CVPR 2022, section 4.2.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pcl_data import Scene
from pcl_methods.segmentation.inference import (
    Instances,
    ScenePrediction,
    find_instances,
    predict_scene,
    vote_labels,
)
from pcl_methods.self_training.networks import TwistModel
from pcl_pseudolabel import proposal_confidence


@dataclass(frozen=True)
class SceneProposals(ScenePrediction):
    """Φ and module A on the voxels of one scene, without augmentation."""

    proposals: Tensor  # (v,) -1 none
    proposal_labels: Tensor  # (m,) the commonest predicted class of each

    @property
    def n_proposals(self) -> int:
        """How many proposals the scene has."""
        return len(self.proposal_labels)

    @property
    def offsets(self) -> Tensor:
        """Predicted by Φ, (v, 3) metres."""
        assert self.voxels.offsets is not None  # else there were no proposals
        return self.voxels.offsets


class Judgment(NamedTuple):
    """What Ψ says of the m proposals of a scene."""

    labels: Tensor  # (m,) re-predicted class
    scores: Tensor  # (m,) certainty that the proposal is one instance
    confidence: Tensor  # (m,) in the class: Ψ's softmax times the mean of Φ's over the proposal
    probabilities: Tensor  # (m, k) Ψ's softmax over the things


def see_scene(model: TwistModel, scene: Scene) -> ScenePrediction:
    """Φ on one scene; both networks are in evaluation mode afterwards."""
    model.eval()
    return predict_scene(
        model.network,
        scene,
        voxel_size=model.voxel_size,
        features=model.features,
        device=model.device,
        views=model.views,
    )


@torch.inference_mode()
def propose_scene(model: TwistModel, scene: Scene) -> SceneProposals:
    """Φ in evaluation mode on one scene, and its proposals; Ψ is in evaluation mode as well."""
    found = see_scene(model, scene)
    everywhere = torch.ones_like(found.batch_index, dtype=torch.bool)
    proposals = model.propose(found.points, found.voxels, found.batch_index, everywhere)
    labels = vote_labels(found.voxels.logits, proposals)
    return SceneProposals(**vars(found), proposals=proposals, proposal_labels=labels)


@torch.inference_mode()
def judge_proposals(model: TwistModel, found: SceneProposals) -> Judgment:
    """Module B: the re-predicted class of each proposal, and how sure of it the networks are."""
    labels = found.proposal_labels
    if found.n_proposals == 0:
        nothing = torch.zeros_like(labels, dtype=torch.float32)
        return Judgment(labels, nothing, nothing, nothing.new_zeros(0, model.label_set.n_classes))
    rows = torch.nonzero(found.proposals >= 0).flatten()
    features = model.recorrector_input(found.voxels, found.features)
    output = model.recorrector(
        found.points[rows], features[rows], found.proposals[rows], found.n_proposals
    )
    things = model.label_set.things
    labels, scores = output.rectify(things)
    of_points = proposal_confidence(found.voxels.logits.softmax(dim=1), found.proposals, labels)
    probabilities = output.class_probabilities(things)
    return Judgment(labels, scores, of_points * probabilities.amax(dim=1), probabilities)


def segment_scene(model: TwistModel, scene: Scene, *, reclassify: bool = False) -> Instances:
    """The class and the instance of every input point, as they are scored.

    Args:
        model: in evaluation mode afterwards.
        scene: points in metres, with the features that Φ reads.
        reclassify: whether Ψ gives the instances their classes; else the vote of their points.
    """
    found = propose_scene(model, scene)
    labels = judge_proposals(model, found).labels if reclassify else found.proposal_labels
    return find_instances(found, found.proposals, labels)
