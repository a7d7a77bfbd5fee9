"""Tests of pcl_methods.self_training.measured_errors."""

import dataclasses

import numpy as np
import pytest
import torch

from pcl_data.splits import annotation_budget
from pcl_methods.segmentation.network import VoxelPrediction
from pcl_methods.segmentation.testing import COLORS
from pcl_methods.self_training import measured_errors
from pcl_methods.self_training.judgment import judge_proposals, propose_scene
from pcl_methods.self_training.measured_errors import (
    class_frequencies,
    hold_out,
    measure_errors,
)


class ColorNetwork(torch.nn.Module):
    """Tells the classes of `make_room` by their colours; instances lie apart."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, coords, features):
        logits = features.new_full((len(coords), 20), -100.0)
        for label, color in COLORS.items():
            logits[:, label] = -20 * (features - torch.tensor(color) / 255 + 0.5).norm(dim=1)
        widened = torch.nn.functional.pad(features, (0, self.channels - 3))
        return VoxelPrediction(widened, logits, torch.zeros(len(coords), 3))


def test_held_out_scenes_are_neither_labeled_nor_unlabeled(split):
    learned, measured = hold_out(split, 1)
    assert measured == ("scene1",)
    assert learned.labeled == ("scene0",)
    assert learned.unlabeled == split.unlabeled
    assert learned.validation == split.validation
    assert learned.budget.name == split.budget.name
    assert hold_out(split, 0) == (split, ())


@pytest.mark.parametrize("count", [-1, 2, 3])
def test_one_labeled_scene_must_remain(split, count):
    with pytest.raises(ValueError, match=f"count must leave one of the 2 labeled .*, got {count}"):
        hold_out(split, count)


def test_labeled_points_are_not_held_out(split):
    points = dataclasses.replace(split, budget=annotation_budget(split.training, 20))
    with pytest.raises(ValueError, match="split must have labeled scenes, got labeled points"):
        hold_out(points, 1)


def test_errors_are_accuracy_minus_confidence_of_each_class(split, model):
    """Equation 4, whose sum over bins is the difference of two means."""
    found = measure_errors(model, split, split.labeled, proposals=False)
    rows, truth = [], []
    for name in split.labeled:
        seen = propose_scene(model, split.load(name))
        rows.append(seen.voxels.logits.softmax(dim=1)[seen.inverse])
        truth.append(torch.from_numpy(split.load(name).labels))
    confidence, predicted = torch.cat(rows).max(dim=1)
    right = (predicted == torch.cat(truth)).float()
    for c in range(20):
        of_class = predicted == c
        wanted = float((right - confidence)[of_class].mean()) if of_class.any() else 0.0
        assert float(found.points.compute()[c]) == pytest.approx(wanted, abs=1e-5)
    assert int(found.proposals.counts.sum()) == 0


def test_proposals_are_right_with_half_of_an_instance_and_its_class(split, model, monkeypatch):
    model.network = ColorNetwork(model.network.backbone.feature_channels)
    whole = split.load("scene0")
    thirds = np.where(whole.instances == 0, 4 + np.arange(len(whole.points)) % 3, whole.instances)
    scene = dataclasses.replace(whole, instances=thirds)
    seen = propose_scene(model, scene)
    assert seen.n_proposals == 4
    # Ψ says the true class of all: what of the first chair is too small is wrong all the same.
    truth = torch.tensor([scene.labels[seen.inverse.numpy() == v][0] for v in _firsts(seen)])
    judged = judge_proposals(model, seen)._replace(labels=truth)
    monkeypatch.setattr(measured_errors, "judge_proposals", lambda *_: judged)
    other = dataclasses.replace(split, load={"scene0": scene}.__getitem__)
    found = measure_errors(model, other, ["scene0"], proposals=True)
    of_point = seen.proposals[seen.inverse].numpy()
    n_right, truth_of = 0, judged.labels
    for number in range(seen.n_proposals):
        mask = of_point == number
        for instance in np.unique(scene.instances[scene.instances >= 0]):
            truth = scene.instances == instance
            iou = (mask & truth).sum() / (mask | truth).sum()
            same = scene.labels[truth][0] == int(judged.labels[number])
            n_right += int(iou >= 0.5 and same)
    assert n_right == 3
    assert int(found.proposals.counts.sum()) == seen.n_proposals
    assert float(found.proposals.correct.sum()) == n_right
    # A sample a proposal: its most probable class against that of the instance it hits most.
    confidence, predicted = judged.probabilities.max(dim=1)
    assert int(found.proposal_classes.counts.sum()) == seen.n_proposals
    wanted = float((predicted == truth_of).sum())
    assert float(found.proposal_classes.correct.sum()) == wanted
    assert float(found.proposal_classes.confidences.sum()) == pytest.approx(float(confidence.sum()))


def _firsts(seen) -> list[int]:
    """A voxel of each proposal."""
    return [int((seen.proposals == number).nonzero()[0, 0]) for number in range(4)]


def test_frequencies_are_of_labeled_points(split):
    found = class_frequencies(split, 20)
    labels = np.concatenate([split.load(name).labels for name in split.labeled])
    assert found.sum() == pytest.approx(1)
    for c in np.unique(labels):
        assert float(found[c]) == pytest.approx((labels == c).mean())
