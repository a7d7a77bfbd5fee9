"""Tests of pcl_methods.detection.learning and detectors: from scenes to scores."""

import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pcl_backbones import Res16UNet14A, SparseDetector
from pcl_backbones.box_coding import BoxCoding
from pcl_backbones.pointnet2 import PointNet2
from pcl_backbones.sparse_seeds import SparseSeeds
from pcl_backbones.votenet import VoteNet
from pcl_data import SCANNET20
from pcl_data.splits import SceneSplit, box_budget
from pcl_data.splits.budgets import LabelBudget
from pcl_methods.detection.detectors import SparseBoxDetector, VoteBoxDetector, find_boxes
from pcl_methods.detection.learning import (
    box_batches,
    labeled_boxes,
    mean_sizes,
    train_detector,
)
from pcl_methods.detection.samples import BoxSampling
from pcl_methods.detection.scene_boxes import scene_boxes
from pcl_methods.detection.scoring import score_boxes
from pcl_methods.segmentation.testing import make_room
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.loop import Interrupted, LoopOptions
from pcl_run.run import Run

ROOMS = {f"room{i}": make_room(f"room{i}", i) for i in range(3)}
SAMPLING = BoxSampling(0.05)


@pytest.fixture
def split():
    budget = LabelBudget("lr-2", ("room0", "room1"))
    return SceneSplit("rooms", SCANNET20, ("room0", "room1"), ("room2",), budget, ROOMS.__getitem__)


def sparse_detector(seed=0):
    torch.manual_seed(seed)
    backbone = Res16UNet14A(3, None, width=0.25, bn_momentum=0.1)
    n_classes = len(SCANNET20.things)
    detector = SparseDetector(backbone, n_classes, voxel_size=0.05, strides=(4, 8), channels=32)
    return SparseBoxDetector(detector, SCANNET20.things)


def vote_detector(seeds, coding):
    network = VoteNet(seeds, coding, seed_channels=32, width=0.5, n_proposals=24)
    return VoteBoxDetector(network, SCANNET20.things)


def coding_of(split):
    return BoxCoding(mean_sizes(split))


def point_seeds():
    torch.manual_seed(0)
    return PointNet2(3, width=0.25, out_channels=32, counts=(256, 128, 32, 16))


def voxel_seeds():
    torch.manual_seed(0)
    return SparseSeeds(Res16UNet14A(3, 32, width=0.25, bn_momentum=0.1), 128)


def train(folder, split, detector, n_steps=60, sampling=SAMPLING, rate=0.01, **how):
    run = Run.open(folder, Config(), resume=folder.exists())
    train_detector(
        run,
        make_fabric(),
        detector,
        box_batches(split, sampling, batch_size=2),
        n_steps=n_steps,
        make_optimizer=lambda module: torch.optim.AdamW(module.parameters(), rate),
        **how,
    )
    return detector.eval()


def test_a_detector_finds_the_boxes_of_a_room_that_it_has_not_seen(split, tmp_path):
    detector = train(tmp_path / "run", split, sparse_detector())
    find = partial(find_boxes, detector, sampling=SAMPLING)
    scores = score_boxes([ROOMS["room2"]], find, SCANNET20)
    assert scores["map25"] > 0.5
    sure = find(ROOMS["room2"]).above(0.2)
    moved = replace(ROOMS["room2"], points=ROOMS["room2"].points + np.float32([7, -3, 2]))
    there = find(moved).above(0.2)
    np.testing.assert_allclose(there.boxes[:, :3], sure.boxes[:, :3] + [7, -3, 2], atol=1e-3)


@pytest.mark.parametrize(
    ("make_seeds", "sampling"),
    [(point_seeds, BoxSampling(0.05, n_points=1500)), (voxel_seeds, SAMPLING)],
)
def test_votes_are_learned_and_make_boxes(split, tmp_path, make_seeds, sampling):
    """Good boxes take more steps than a test has."""
    detector = vote_detector(make_seeds(), coding_of(split))
    batch = box_batches(split, sampling, batch_size=2)[0]
    before = detector.losses(batch)
    steady = {"schedule": lambda step, n_steps: 1.0}
    train(tmp_path / "run", split, detector, 70, sampling, 0.005, **steady)
    after = detector.train().losses(batch)
    assert after["vote"] < 0.9 * before["vote"]
    scene = ROOMS["room0"]
    found = find_boxes(detector.eval(), scene, sampling)
    assert len(found.boxes)
    center = scene.points.mean(axis=0)
    far = replace(scene, points=scene.points + np.float32(400))
    moved = find_boxes(detector, far, sampling)
    assert abs(found.boxes[0, :3] - center).max() < 3
    np.testing.assert_allclose(moved.boxes[0, :3], found.boxes[0, :3] + 400, atol=0.01)


def test_votes_of_points_without_instances_are_for_the_boxes_around_them(split):
    detector = vote_detector(point_seeds(), coding_of(split))
    batch = box_batches(split, BoxSampling(0.05, n_points=1500), batch_size=2)[0]
    with_instances = detector.eval().losses(batch)
    alone = detector.losses({name: value for name, value in batch.items() if name != "of_point"})
    assert alone.keys() == with_instances.keys()
    assert torch.equal(alone["semantic"], with_instances["semantic"])
    assert alone["vote"] > 0
    assert not torch.equal(alone["vote"], with_instances["vote"])  # the floor in a box votes too


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_batch_norms_keep_their_statistics_at_the_end(split, tmp_path, fraction):
    before, detector = dict(sparse_detector().named_buffers()), sparse_detector()
    train(tmp_path / "run", split, detector, 2, freeze_bn_fraction=fraction)
    after = dict(detector.named_buffers())
    stay = [torch.equal(before[name], after[name]) for name in before if "running" in name]
    assert len(stay) > 10
    assert all(stay) if fraction else not any(stay[:10])


def test_an_interrupted_training_ends_with_the_same_weights(split, tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", split, sparse_detector(), 6)
    first, losses = sparse_detector(), SparseBoxDetector.losses
    seen = []

    def pressing(self, batch):
        seen.append(1)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGTERM)
        return losses(self, batch)

    monkeypatch.setattr(SparseBoxDetector, "losses", pressing)
    with pytest.raises(Interrupted):
        train(tmp_path / "other", split, first, 6, options=LoopOptions(checkpoint_every=2))
    monkeypatch.undo()
    again = train(tmp_path / "other", split, sparse_detector(1), 6)
    for mine, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_budget_of_boxes_leaves_so_many(split):
    limited = replace(split, budget=box_budget(split.training, 2))
    scene = labeled_boxes(limited, "room0")
    found = scene_boxes(scene, SCANNET20)
    assert len(found.boxes) == len(scene.boxes) == 2
    np.testing.assert_allclose(
        found.boxes[np.argsort(found.boxes[:, 0])],
        scene.boxes[np.argsort(scene.boxes[:, 0])],
        atol=1e-5,
    )
    batch = box_batches(limited, SAMPLING, batch_size=2)[0]
    assert batch["n_boxes"].tolist() == [2, 2]
    assert set(batch["of_point"].tolist()) == {-1, 0, 1}


def test_mean_sizes_are_of_the_labeled_boxes_of_a_class(split):
    boxes = np.concatenate([scene_boxes(ROOMS[name], SCANNET20).boxes for name in split.labeled])
    found = mean_sizes(split).numpy()
    for row, label in enumerate(SCANNET20.things):
        of_class = boxes[boxes[:, 7] == label] if (boxes[:, 7] == label).any() else boxes
        np.testing.assert_allclose(found[row], of_class[:, 3:6].mean(axis=0), rtol=1e-5)


def test_processes_share_a_batch_evenly(split):
    with pytest.raises(ValueError, match="batch_size must be a multiple of 2 processes, got 3"):
        box_batches(split, SAMPLING, batch_size=3, n_ranks=2)
