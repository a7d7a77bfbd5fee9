"""Tests of pcl_methods.self_training.batches."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from pcl_data.splits import annotation_budget
from pcl_methods.self_training.batches import BatchContents, twist_batches
from pcl_pseudolabel import PseudoLabels

CONTENTS = BatchContents(labeled_scenes=1, unlabeled_scenes=2)


@pytest.fixture
def all_chairs(split):
    """Pseudo-labels: every point is a chair and of one proposal."""

    def load(name: str) -> PseudoLabels:
        n = len(split.load(name).points)
        return PseudoLabels(
            labels=torch.full((n,), 4),
            proposals=torch.zeros(n, dtype=torch.int64),
            centers=torch.zeros(1, 3),
            scores=torch.ones(1),
            proposal_labels=torch.full((1,), 4),
        )

    return load


def test_a_batch_depends_on_seed_round_and_step_alone(model, split, all_chairs):
    first, again = (twist_batches(model, split, CONTENTS, all_chairs, (0, 1)) for _ in range(2))
    first[3]
    for key, value in first[7].items():
        assert torch.equal(value, again[7][key]), key
    assert not torch.equal(first[7]["points"], first[8]["points"])
    for seed in ((0, 2), (1, 1)):
        changed = twist_batches(model, split, CONTENTS, all_chairs, seed)
        assert not torch.equal(first[7]["points"], changed[7]["points"])


def test_labeled_scenes_come_first_and_the_others_have_their_pseudo_labels(
    model, split, all_chairs
):
    batch = twist_batches(model, split, CONTENTS, all_chairs, (0, 1))[0]
    assert set(batch["batch_index"].tolist()) == {0, 1, 2}
    assert torch.equal(batch["is_labeled"], batch["batch_index"] == 0)
    assert (batch["labels"][~batch["is_labeled"]] == 4).all()
    assert len(batch["instances"][~batch["is_labeled"]].unique()) == 2
    assert len(batch["labels"][batch["is_labeled"]].unique()) == 3


def test_a_teacher_gets_the_same_points_without_augmentation(model, split, all_chairs):
    plain, both = (
        twist_batches(model, split, CONTENTS, all_chairs, (0, 1), weak_view=weak)[0]
        for weak in (False, True)
    )
    assert both.keys() - plain.keys() == {"weak_coords", "weak_features"}
    assert all(torch.equal(value, both[key]) for key, value in plain.items())


def test_voxels_learn_what_their_proposals_say_of_the_classes(model, split, all_chairs):
    told = torch.zeros(1, 20)
    told[0, [4, 6]] = torch.tensor([0.75, 0.25])

    def half_in_a_proposal(name: str) -> PseudoLabels:
        pseudo = all_chairs(name)
        proposals = torch.arange(len(pseudo.labels)) % 2 - 1
        return dataclasses.replace(pseudo, proposals=proposals, class_probabilities=told)

    batch = twist_batches(model, split, CONTENTS, half_in_a_proposal, (0, 1), soft=True)[0]
    targets, is_labeled = batch["class_targets"], batch["is_labeled"]
    one_hot = torch.eye(20)
    labels = batch["labels"][is_labeled]
    assert torch.equal(targets[is_labeled][labels >= 0], one_hot[labels[labels >= 0]])
    inside = batch["instances"][~is_labeled] >= 0
    assert 0.3 < inside.float().mean() < 0.7
    expected = torch.where(inside[:, None], told, one_hot[4])
    assert torch.equal(targets[~is_labeled], expected)
    plain = twist_batches(model, split, CONTENTS, all_chairs, (0, 1))[0]
    assert "class_targets" not in plain


def test_without_pseudo_labels_every_scene_is_labeled(model, split):
    assert twist_batches(model, split, CONTENTS, None, (0, 0))[0]["is_labeled"].all()


def test_a_few_labeled_points_of_a_scene_come_before_the_others(model, split):
    """Where the budget is of points, -1 is a gap: a voxel has the label of any of its points."""
    budget = annotation_budget(split.training, 200)
    limited = dataclasses.replace(split, budget=budget)
    batch = twist_batches(model, limited, CONTENTS, None, (0, 0))[0]
    n_labeled = int((batch["labels"] >= 0).sum())
    scene = limited.load_labeled("scene0")
    grid = np.floor(scene.points[scene.labels >= 0] / model.voxel_size)
    n_voxels = len(np.unique(grid, axis=0))
    assert n_labeled > 0.7 * n_voxels  # some are dropped; as many voxels by their first point: 0.3


def test_a_voxel_without_a_pseudo_label_at_its_first_point_has_none(model, split, all_chairs):
    """There -1 is a decision; the voxels would have four times as many labels else."""

    def every_sixth(name: str) -> PseudoLabels:
        pseudo = all_chairs(name)
        kept = torch.arange(len(pseudo.labels)) % 6 == 0
        return dataclasses.replace(pseudo, labels=torch.where(kept, pseudo.labels, -1))

    batch = twist_batches(model, split, CONTENTS, every_sixth, (0, 1))[0]
    share = (batch["labels"][~batch["is_labeled"]] >= 0).float().mean()
    assert 0.12 < share < 0.21


def test_batches_go_to_processes_that_are_no_copies(model, split):
    made = twist_batches(model, split, CONTENTS, None, (0, 0))
    found = pickle.loads(pickle.dumps(made))[2]
    assert all(torch.equal(found[key], value) for key, value in made[2].items())
