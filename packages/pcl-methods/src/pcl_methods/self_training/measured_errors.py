"""How sure a model may be: its calibration error of each class, on labeled scenes it never learned.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, Eq. 4.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from pcl_calibration import ClassCalibrationError
from pcl_data import Scene
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.self_training.judgment import judge_proposals, propose_scene
from pcl_methods.self_training.networks import TwistModel
from pcl_pseudolabel import matched_labels, proposal_iou


class MeasuredErrors(NamedTuple):
    """Tables of confidence and truth."""

    points: ClassCalibrationError  # of Φ's classes, a sample a point
    proposals: ClassCalibrationError  # of the class of a proposal, by the confidence in it
    proposal_classes: ClassCalibrationError  # of all classes of a proposal, by Ψ's softmax


def hold_out(split: SceneSplit, count: int) -> tuple[SceneSplit, tuple[str, ...]]:
    """The split without its last labeled scenes, and their names: nothing is learned from them.

    Args:
        split: of labeled scenes.
        count: how many are taken out.

    Raises:
        ValueError: if no labeled scene would remain, or points are labeled and not scenes.
    """
    budget = split.budget
    if not 0 <= count < len(budget.scenes):
        raise ValueError(
            f"count must leave one of the {len(budget.scenes)} labeled scenes, got {count}"
        )
    if count and budget.annotations is not None:
        raise ValueError(f"split must have labeled scenes, got labeled points: {budget.name}")
    if not count:
        return split, ()
    learned, measured = budget.scenes[:-count], budget.scenes[-count:]
    training = tuple(name for name in split.training if name not in measured)
    budget = LabelBudget(budget.name, learned)
    return replace(split, training=training, budget=budget), measured


@torch.inference_mode()
def measure_errors(
    model: TwistModel, split: SceneSplit, names: Sequence[str], *, proposals: bool
) -> MeasuredErrors:
    """What a model says of labeled scenes, against their labels; it is in evaluation mode then.

    Args:
        model: as it labels scenes.
        split: reads the scenes.
        names: of scenes with labels and instances.
        proposals: whether Ψ has learned, so that its confidence is measured too.
    """
    n_classes = model.label_set.n_classes
    found = MeasuredErrors(*(ClassCalibrationError(n_classes) for _ in MeasuredErrors._fields))
    for name in names:
        _count_scene(found, model, split.load(name), proposals=proposals)
    return found


def _count_scene(
    found: MeasuredErrors, model: TwistModel, scene: Scene, *, proposals: bool
) -> None:
    truth = (scene.labels, scene.instances)
    labels, instances = (torch.from_numpy(np.array(values)) for values in truth)
    seen = propose_scene(model, scene)
    inverse = seen.inverse.cpu()
    found.points.update(seen.voxels.logits.softmax(dim=1).cpu()[inverse], labels)
    if not proposals or not seen.n_proposals:
        return
    judged = judge_proposals(model, seen)
    of_point = seen.proposals.cpu()[inverse]
    rows = (of_point >= 0).nonzero()[:, 0]
    match = proposal_iou(rows, of_point[rows], seen.n_proposals, instances)
    predicted = judged.labels.cpu()
    true = matched_labels(match.instance, instances, labels)
    correct = (match.iou >= 0.5) & (true == predicted)
    found.proposals.update_matches(predicted, judged.confidence.cpu().clamp(0, 1), correct)
    found.proposal_classes.update(judged.probabilities.cpu(), true)


def class_frequencies(split: SceneSplit, n_classes: int) -> torch.Tensor:
    """The share of each class among the labeled points that may be learned from, (k,)."""
    counts = np.zeros(n_classes, np.int64)
    for name in split.labeled:
        labels = split.load_labeled(name).labels
        assert labels is not None  # load_labeled has checked
        counts += np.bincount(labels[labels >= 0], minlength=n_classes)
    return torch.from_numpy(counts / max(counts.sum(), 1)).float()
