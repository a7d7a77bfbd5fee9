"""The pseudo-labels of a round: the rows of Tables 4 and 5 of TWIST, composed.

A record is a pure function of (scene, weights, configuration), so scenes can be labelled anywhere
and in any order (`--shard i/n`).
"""

from pathlib import Path

import torch
from torch import Tensor

from pcl_data import Scene
from pcl_pseudolabel import (
    Provenance,
    PseudoLabelRecord,
    PseudoLabels,
    PseudoLabelStore,
    hash_configuration,
    hash_weights,
    proposal_centers,
    shard,
    stuff_pseudo_labels,
    threshold_pseudo_labels,
    update_pseudo_labels,
)
from twist_cli.config import RunConfig
from twist_cli.inference import ScenePrediction, predict_scene, rectify
from twist_cli.objective import TwistObjective
from twist_cli.scenes import Split

POINTWISE = ("semantic", "offset", "points")


def open_store(
    run_folder: Path, config: RunConfig, objective: TwistObjective, round_: int
) -> PseudoLabelStore:
    """The store of a round's pseudo-labels, bound to the weights that make them."""
    settings = config.model_dump(mode="json", include={"model", "twist", "data"})
    provenance = Provenance(
        hash_weights(objective.state_dict()), hash_configuration(settings), round_
    )
    return PseudoLabelStore(run_folder / "pseudo" / f"round_{round_}", provenance)


def label_scenes(
    store: PseudoLabelStore,
    objective: TwistObjective,
    split: Split,
    index: int,
    count: int,
    device: torch.device,
) -> None:
    """Label share `index` of `count` of the unlabelled scenes; labelled ones are kept."""
    for name in shard(split.unlabeled, index, count):
        if name not in store:
            store.save(name, label_scene(objective, split.load(name), device))


@torch.inference_mode()
def label_scene(objective: TwistObjective, scene: Scene, device: torch.device) -> PseudoLabelRecord:
    """The pseudo-labels of one unlabelled scene, for each of its points."""
    prediction = predict_scene(objective, scene, device)
    if objective.config.twist.pseudo_labels in POINTWISE:
        return _pointwise_record(objective, prediction)
    return _proposal_record(objective, prediction)


def _proposal_record(objective: TwistObjective, prediction: ScenePrediction) -> PseudoLabelRecord:
    """Eqs. 6 to 8 on the proposals that Ψ trusts, or on all of them (Table 4, rows VI and V)."""
    twist, device = objective.config.twist, prediction.points.device
    if twist.pseudo_labels == "recorrected":
        proposal_labels, scores, confidence = rectify(objective, prediction)
        if twist.class_threshold is not None:
            scores = torch.where(confidence > twist.class_threshold, scores, 0)
    else:
        proposal_labels = prediction.proposal_labels
        scores = torch.ones(prediction.n_proposals, device=device)
    pseudo = update_pseudo_labels(
        prediction.points,
        prediction.offsets,
        prediction.proposals,
        proposal_labels,
        scores,
        threshold=twist.score_threshold,
    )
    labels, probabilities = pseudo.labels, prediction.voxels.logits.softmax(dim=1)
    if not twist.offset_to_semantic:
        labels = _threshold(objective, prediction).labels
    if twist.stuff_threshold is not None:
        labels = stuff_pseudo_labels(
            labels, probabilities, objective.stuff, threshold=twist.stuff_threshold
        )
    centers = proposal_centers(
        prediction.points,
        prediction.offsets,
        prediction.proposals,
        prediction.n_proposals,
    )
    kept = torch.where(pseudo.valid, prediction.proposals, -1)
    return _record(prediction, labels, kept, centers, scores, proposal_labels)


def _pointwise_record(objective: TwistObjective, prediction: ScenePrediction) -> PseudoLabelRecord:
    """Confidence thresholding (Table 4, rows II to IV): every point is its own proposal."""
    kind = objective.config.twist.pseudo_labels
    pseudo = _threshold(objective, prediction)
    valid = pseudo.valid & (kind != "semantic")
    rows = torch.nonzero(valid).flatten()
    proposals = torch.where(valid, valid.cumsum(0) - 1, -1)
    centers = (prediction.points + pseudo.centroid_offsets)[rows]
    labels = torch.full_like(pseudo.labels, -1) if kind == "offset" else pseudo.labels
    scores = torch.ones(len(rows), device=labels.device)
    return _record(prediction, labels, proposals, centers, scores, pseudo.labels[rows])


def _threshold(objective: TwistObjective, prediction: ScenePrediction) -> PseudoLabels:
    return threshold_pseudo_labels(
        prediction.voxels.logits.softmax(dim=1),
        prediction.offsets,
        threshold=objective.config.twist.point_threshold,
        stuff=objective.stuff,
    )


def _record(
    prediction: ScenePrediction,
    labels: Tensor,
    proposals: Tensor,
    centers: Tensor,
    scores: Tensor,
    proposal_labels: Tensor,
) -> PseudoLabelRecord:
    """Spread from voxels to the input points."""
    inverse = prediction.inverse
    return PseudoLabelRecord(
        labels=labels[inverse].cpu().numpy(),
        proposals=proposals[inverse].cpu().numpy(),
        centers=centers.cpu().numpy(),
        scores=scores.cpu().numpy(),
        proposal_labels=proposal_labels.cpu().numpy(),
    )
