"""A scene through Φ, its proposals, and Ψ's judgement of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pcl_data import Scene
from pcl_methods.segmentation import inference
from pcl_methods.segmentation.inference import Instances, vote_labels
from pcl_pseudolabel import proposal_confidence
from twist_cli.objective import TwistObjective, detached_features, propose_voxels


@dataclass(frozen=True)
class ScenePrediction(inference.ScenePrediction):
    """Φ and module A on the voxels of one scene, without augmentation."""

    proposals: Tensor  # (v,) -1 none
    proposal_labels: Tensor  # (m,) the class that module A gave them

    @property
    def n_proposals(self) -> int:
        """How many proposals the scene has."""
        return len(self.proposal_labels)

    @property
    def offsets(self) -> Tensor:
        """Predicted by Φ, (v, 3) metres."""
        assert self.voxels.offsets is not None  # as build_networks makes Φ
        return self.voxels.offsets


@torch.inference_mode()
def predict_scene(objective: TwistObjective, scene: Scene, device: torch.device) -> ScenePrediction:
    """Φ in evaluation mode on one scene, and its proposals; Ψ is in evaluation mode as well."""
    objective.eval()
    config = objective.config
    found = inference.predict_scene(
        objective.network,
        scene,
        voxel_size=config.model.voxel_size,
        features="colors",
        device=device,
    )
    everywhere = torch.ones_like(found.batch_index, dtype=torch.bool)
    proposals = propose_voxels(
        config, objective.stuff, found.points, found.voxels, found.batch_index, everywhere
    )
    labels = vote_labels(found.voxels.logits, proposals)
    return ScenePrediction(**vars(found), proposals=proposals, proposal_labels=labels)


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
    features = detached_features(objective.config, prediction.voxels, prediction.features)
    output = objective.recorrector(
        prediction.points[rows], features[rows], prediction.proposals[rows], prediction.n_proposals
    )
    things = objective.label_set.things
    labels, scores = output.rectify(things)
    probabilities = prediction.voxels.logits.softmax(dim=1)
    of_points = proposal_confidence(probabilities, prediction.proposals, labels)
    return labels, scores, of_points * output.class_confidence(things)


def find_instances(objective: TwistObjective, prediction: ScenePrediction) -> Instances:
    """The instances of a scene as they are scored, re-classified by Ψ if the settings say so."""
    labels = prediction.proposal_labels
    if objective.config.twist.rectify_at_test:
        labels = rectify(objective, prediction)[0]
    return inference.find_instances(prediction, prediction.proposals, labels)
