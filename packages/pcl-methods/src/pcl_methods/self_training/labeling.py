"""The pseudo-labels of a round: the rows of Tables 4 and 5 of TWIST, composed.

Chu et al., "TWIST", CVPR 2022, section 4.3. Pseudo-labels are a pure function of (scene, weights,
settings), so scenes can be labeled anywhere and in any order.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pcl_calibration import correct_pseudo_labels
from pcl_data import Scene
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.batches import Kept
from pcl_methods.self_training.judgment import SceneProposals, judge_proposals, propose_scene
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.soft_targets import SUPPORT
from pcl_pseudolabel import (
    Provenance,
    PseudoLabels,
    PseudoLabelStore,
    hash_configuration,
    hash_weights,
    shard,
    stuff_pseudo_labels,
    threshold_pseudo_labels,
    update_pseudo_labels,
)

PseudoLabelKind = Literal["semantic", "offset", "points", "proposals", "recorrected"]
POINTWISE = ("semantic", "offset", "points")
N_KEPT = 64  # scenes whose size stays in memory


@dataclass(frozen=True)
class Labeling:
    """Which pseudo-labels unlabeled scenes get.

    Args:
        kind: Table 4. Rows II to IV threshold single points: their classes (`semantic`), their
            offsets (`offset`) or both (`points`). Row V takes every proposal (`proposals`), row VI
            those that Ψ trusts, with the class it gives them (`recorrected`).
        score_threshold: Ψ's certainty above which a proposal is trusted.
        class_threshold: confidence in its class above which one is trusted; none: any.
        point_threshold: softmax above which a single point is trusted.
        stuff_threshold: softmax above which walls and floors are labeled; none: they never are.
        pointwise_classes: the classes of single points beside the offsets of proposals (Table 5,
            row 1).
        class_shifts: added to the confidence in each class before `class_threshold`: a multiple of
            its calibration error, which so gives each class a threshold of its own; none: 0.
        soft: whether the points of a trusted proposal learn all classes as Ψ says (`recorrected`).
        target_shifts: of `soft`, added to the probability of each class: a multiple of its
            calibration error (Eq. 5 of Porcher et al., "Better (Pseudo-)Labels", 2024); none: 0.
    """

    kind: PseudoLabelKind = "recorrected"
    score_threshold: float = 0.5
    class_threshold: float | None = None
    point_threshold: float = 0.9
    stuff_threshold: float | None = None
    pointwise_classes: bool = False
    class_shifts: tuple[float, ...] | None = None
    soft: bool = False
    target_shifts: tuple[float, ...] | None = None

    def corrected(
        self, errors: Mapping[str, Sequence[float]], correction: "ProposalCorrection"
    ) -> "Labeling":
        """The same, with the calibration errors of each class times their factors as shifts.

        Args:
            errors: of `MeasuredErrors`, by their names.
            correction: the factors; where one is 0 nothing changes.
        """
        shifts = {
            name: tuple(factor * error for error in errors[table])
            for name, table, factor in (
                ("class_shifts", "proposals", correction.confidence),
                ("target_shifts", "proposal_classes", correction.targets),
            )
            if factor
        }
        return dataclasses.replace(self, **shifts)


@dataclass(frozen=True)
class ProposalCorrection:
    """Factors of calibration errors; those of none are 0.

    Args:
        confidence: of that in the class of a proposal, before its threshold.
        targets: of the classes that a proposal teaches.
    """

    confidence: float = 0.0
    targets: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.confidence or self.targets)


@torch.inference_mode()
def label_scene(model: TwistModel, scene: Scene, labeling: Labeling) -> PseudoLabels:
    """The pseudo-labels of one unlabeled scene, for each of its points."""
    found = propose_scene(model, scene)
    make = _of_points if labeling.kind in POINTWISE else _of_proposals
    points = torch.from_numpy(np.array(scene.points)).to(found.points)
    return make(model, found, labeling).at(points, found.inverse)


def _of_proposals(model: TwistModel, found: SceneProposals, labeling: Labeling) -> PseudoLabels:
    """Module C, Eqs. 6 to 8, on the proposals that Ψ trusts or on all (Table 4, VI and V)."""
    probabilities = None
    if labeling.kind == "recorrected":
        proposal_labels, scores, confidence, probabilities = judge_proposals(model, found)
        if labeling.class_threshold is not None:
            if labeling.class_shifts is not None:
                shifts = confidence.new_tensor(labeling.class_shifts)
                confidence = (confidence + shifts[proposal_labels]).clamp(0, 1)
            scores = torch.where(confidence > labeling.class_threshold, scores, 0)
    else:
        proposal_labels = found.proposal_labels
        scores = torch.ones(found.n_proposals, device=found.points.device)
    pseudo = update_pseudo_labels(
        found.points,
        found.offsets,
        found.proposals,
        proposal_labels,
        scores,
        threshold=labeling.score_threshold,
    )
    labels = pseudo.labels
    if labeling.pointwise_classes:
        labels = _thresholded(model, found, labeling).labels
    if labeling.stuff_threshold is not None:
        probabilities = found.voxels.logits.softmax(dim=1)
        labels = stuff_pseudo_labels(
            labels, probabilities, model.stuff, threshold=labeling.stuff_threshold
        )
    targets = _class_targets(probabilities, labeling)
    return dataclasses.replace(pseudo, labels=labels, class_probabilities=targets)


def _class_targets(probabilities: Tensor | None, labeling: Labeling) -> Tensor | None:
    """What the points of each proposal learn of the classes; none: its class alone."""
    if not labeling.soft or probabilities is None:
        return None
    if labeling.target_shifts is None:
        return probabilities
    shifts = probabilities.new_tensor(labeling.target_shifts)
    return correct_pseudo_labels(
        probabilities, shifts, strength=1.0, head="softmax", support=SUPPORT
    )


def _of_points(model: TwistModel, found: SceneProposals, labeling: Labeling) -> PseudoLabels:
    """Confidence thresholding (Table 4, II to IV): every point is its own proposal."""
    pseudo = _thresholded(model, found, labeling)
    if labeling.kind == "semantic":
        return dataclasses.replace(pseudo, proposals=torch.full_like(pseudo.proposals, -1))
    if labeling.kind == "offset":
        return dataclasses.replace(pseudo, labels=torch.full_like(pseudo.labels, -1))
    return pseudo


def _thresholded(model: TwistModel, found: SceneProposals, labeling: Labeling) -> PseudoLabels:
    return threshold_pseudo_labels(
        found.voxels.logits.softmax(dim=1),
        found.offsets,
        threshold=labeling.point_threshold,
        stuff=model.stuff,
        points=found.points,
    )


def no_labels(split: SceneSplit) -> Callable[[str], PseudoLabels]:
    """Reads the pseudo-labels of a scene of which nothing is labeled."""
    return Kept(partial(_no_labels, split.load), N_KEPT)


def _no_labels(load: Callable[[str], Scene], name: str) -> PseudoLabels:
    none = torch.full((len(load(name).points),), -1)
    return PseudoLabels(none, none, torch.zeros(0, 3), torch.zeros(0), none[:0])


def open_store(
    run_folder: Path, model: TwistModel, labeling: Labeling, round_: int
) -> PseudoLabelStore:
    """The store of a round's pseudo-labels, bound to the weights and settings that make them."""
    settings = {
        "labeling": asdict(labeling),
        "clustering": asdict(model.clustering),
        "voxel_size": model.voxel_size,
        "recorrector_reads": model.recorrector_reads,
        "views": model.views,
    }
    weights = hash_weights(model.state_dict())
    provenance = Provenance(weights, hash_configuration(settings), round_)
    return PseudoLabelStore(run_folder / "pseudo" / f"round_{round_}", provenance)


def label_scenes(
    store: PseudoLabelStore,
    model: TwistModel,
    split: SceneSplit,
    labeling: Labeling,
    *,
    index: int = 0,
    count: int = 1,
) -> None:
    """Label share `index` of `count` of the unlabeled scenes; those in the store are kept."""
    for name in shard(split.unlabeled, index, count):
        if name not in store:
            store.save(name, label_scene(model, split.load(name), labeling))
