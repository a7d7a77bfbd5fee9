"""Burn-in and teaching, with resume."""

import json

import pytest
import torch

from pcl_methods.image_instances import learning as module
from pcl_methods.image_instances.batches import BatchSizes
from pcl_methods.image_instances.learning import (
    PAPER,
    InstanceTraining,
    Learning,
    labeled_losses,
)
from pcl_methods.image_instances.smoothed_classes import smoothed_classes
from pcl_methods.image_instances.teacher import Teaching
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.loop import LoopOptions
from pcl_run.run import Run

TEACHING = Teaching("corrected", score=0.1, momentum=0.9)


@pytest.fixture
def make_learning(make_network, images, tmp_path):
    def make(name="run", rate=2e-3):
        folder = tmp_path / name
        return Learning(
            Run.open(folder, Config(), resume=folder.exists()),
            make_fabric(),
            make_network(),
            images.of_images([100, 103]),
            InstanceTraining(rate, batch=BatchSizes(2, 2)),
            options=LoopOptions(log_every=1, checkpoint_every=2),
        )

    return make


def metrics(learning):
    lines = (learning.run.folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_burn_in_lowers_the_loss(make_learning, images):
    learning = make_learning()
    targets = smoothed_classes(learning.network, images, None)
    learning.burn_in(targets, 20)
    losses = [line["loss"] for line in metrics(learning)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_gradients_have_a_largest_norm(make_learning, images, monkeypatch):
    learning, norms = make_learning(), []
    step = torch.optim.AdamW.step

    def watched(optimizer, *arguments, **how):
        weights = optimizer.param_groups[0]["params"]
        done = step(optimizer, *arguments, **how)  # its hook comes first
        norms.append(torch.stack([w.grad.norm() for w in weights if w.grad is not None]).norm())
        return done

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    learning.burn_in(smoothed_classes(learning.network, images, None), 1)
    assert norms[0].item() == pytest.approx(1, abs=1e-3)


def test_teaching_learns_from_unlabeled_images(make_learning, make_network, images):
    learning = make_learning()
    targets = smoothed_classes(learning.network, images, None)
    teacher = learning.teach(images, targets, TEACHING, torch.zeros(3), 3)
    lines = metrics(learning)
    assert [line["step"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert line["loss"] == pytest.approx(line["labeled"] + line["taught"], rel=1e-4)
    assert any(line["objects"] > 0 for line in lines)
    own, students = (
        one.model.class_predictor.weight for one in (teacher.encoder.encoder, learning.network)
    )
    assert not own.requires_grad
    first = make_network().model.class_predictor.weight
    assert not torch.equal(own, first)
    assert (own - first).norm() < (students - first).norm()  # it lags behind


def test_a_run_that_was_interrupted_ends_with_the_same_weights(make_learning, images, monkeypatch):
    def train(learning):
        targets = torch.eye(3, 4)
        learning.burn_in(targets, 2)
        learning.teach(images, targets, TEACHING, torch.zeros(3), 4)
        return learning.network.state_dict()

    whole = train(make_learning("whole"))
    calls = []

    def failing(*arguments):
        calls.append(1)
        if len(calls) > 5:  # within the fourth step of the teaching
            raise KeyError("stop")
        return labeled_losses(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "labeled_losses", failing)
        with pytest.raises(KeyError, match="stop"):
            train(make_learning("broken"))
    resumed = train(make_learning("broken"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_preset_of_the_paper_has_its_numbers():
    assert PAPER.training.rate == 4e-5
    assert PAPER.training.batch.labeled == 32
    assert PAPER.network.image_size == 1536
    assert PAPER.teaching.strength == 2
    assert PAPER.teaching.momentum == 0.9996
