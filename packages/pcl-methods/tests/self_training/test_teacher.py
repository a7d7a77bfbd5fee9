"""Tests of pcl_methods.self_training.teacher."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pcl_methods.segmentation.batches import SceneBatches
from pcl_methods.self_training.batches import BatchContents, twist_batches
from pcl_methods.self_training.judgment import see_scene
from pcl_methods.self_training.labeling import no_labels
from pcl_methods.self_training.objective import twist_losses
from pcl_methods.self_training.soft_targets import ClassFacts, TargetOptions
from pcl_methods.self_training.teacher import Teacher, Teaching

FACTS = ClassFacts(torch.full((20,), 0.05), torch.zeros(20))
SOFT = Teaching(TargetOptions("soft"), momentum=0.75, weight=0.5)


CONTENTS = BatchContents(labeled_scenes=1, unlabeled_scenes=1, elastic=False)


@pytest.fixture
def batches(model, split) -> SceneBatches:
    return twist_batches(model, split, CONTENTS, no_labels(split), (0, 1), weak_view=True)


@pytest.fixture
def batch(batches) -> dict:
    return batches[0]


@pytest.fixture
def teacher(model) -> Teacher:
    return Teacher(model.network, SOFT, FACTS)


def test_a_teacher_is_the_moving_average_and_has_the_norms_of_the_student(model, teacher):
    before = [p.clone() for p in model.network.parameters()]
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(1.0)
        for buffer in model.network.buffers():
            buffer.add_(2)
    teacher.follow(model.network)
    for own, old in zip(teacher.encoder.encoder.parameters(), before, strict=True):
        assert_close(own, old + 0.25)
    for own, other in zip(teacher.encoder.encoder.buffers(), model.network.buffers(), strict=True):
        assert torch.equal(own, other)


def test_a_teacher_sees_a_scene_as_at_test(model, split, teacher, batches, batch):
    scene = split.load(batches.names(batches.sources[1], 0)[0])
    rows = batch["batch_index"] == 1
    points = batch["point_index"][rows]
    seen = see_scene(model, scene)
    wanted = seen.voxels.logits.softmax(dim=1)[seen.inverse[points]]
    found = teacher(batch, rows).probabilities
    # Another point of a voxel may give it another colour, and dropped voxels are missing.
    assert torch.corrcoef(torch.stack([wanted.flatten(), found.flatten()]))[0, 1] > 0.95


def test_a_voxel_of_the_teacher_has_the_features_of_its_first_point(model, teacher, batch):
    rows = batch["batch_index"] == 1
    coords, features = batch["weak_coords"][rows], batch["weak_features"][rows]
    first: dict[tuple, int] = {}
    for row, coord in enumerate(coords.tolist()):
        first.setdefault(tuple(coord), row)
    assert len(first) < len(coords)  # some points share a voxel
    kept = list(first.values())
    seen = torch.nn.functional.pad(coords[kept], (1, 0))
    probabilities = model.network.eval()(seen, features[kept]).logits.softmax(dim=1)
    of_voxel = {coord: probabilities[number] for number, coord in enumerate(first)}
    wanted = torch.stack([of_voxel[tuple(coord)] for coord in coords.tolist()])
    assert_close(teacher(batch, rows).probabilities, wanted, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_mean_cross_entropy_of_unlabeled_voxels(model, teacher, batch):
    rows = ~batch["is_labeled"]
    logits = model.network(batch["coords"], batch["features"]).logits
    targets = teacher(batch, rows).probabilities
    slow = [
        -sum(t * lp for t, lp in zip(target, row.log_softmax(0), strict=True))
        for target, row in zip(targets, logits[rows], strict=True)
    ]
    assert_close(teacher.loss(logits, batch, rows), 0.5 * torch.stack(slow).mean())


def test_what_is_not_trusted_weighs_nothing(model, batch):
    rows = ~batch["is_labeled"]
    logits = model.network(batch["coords"], batch["features"]).logits
    strict = Teaching(TargetOptions("one-hot", threshold=1.0))
    assert Teacher(model.network, strict, FACTS).loss(logits, batch, rows).item() == 0.0


def test_only_the_student_learns_from_its_teacher(model, teacher, batch):
    losses = twist_losses(model, batch, None, teacher)
    assert losses["taught"] > 0
    assert_close(losses["loss"], sum(value for name, value in losses.items() if name != "loss"))
    losses["taught"].backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.network.parameters())


def test_weak_coordinates_are_voxels_of_the_scene_as_it_is(split, model, batches, batch):
    scene = split.load(batches.names(batches.sources[0], 0)[0])
    rows = batch["is_labeled"]
    points = scene.points[batch["point_index"][rows]].astype(np.float64)
    wanted = np.floor((points - points.min(axis=0)) / model.voxel_size)
    assert np.array_equal(wanted, batch["weak_coords"][rows])
    colors = scene.colors[batch["point_index"][rows]] / 255 - 0.5
    assert np.allclose(colors, batch["weak_features"][rows], atol=1e-6)
