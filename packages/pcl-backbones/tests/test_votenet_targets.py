"""Tests of pcl_backbones.votenet_targets."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pcl_backbones.votenet_targets import batch_targets, targets_from_boxes, targets_from_instances

GENERATOR = torch.Generator().manual_seed(0)
POINTS = torch.rand(200, 3, generator=GENERATOR) * 4


def test_instances_have_the_boxes_and_votes_of_a_loop():
    instances = torch.randint(-1, 6, (200,), generator=GENERATOR) * 7  # ids with gaps
    instances[instances < 0] = -1
    labels = torch.randint(-1, 3, (200,), generator=GENERATOR)
    labels[instances == 14] = -1  # has no box
    found = targets_from_instances(POINTS, instances, labels, n_classes=3)
    boxes, classes = [], []
    votes, on_object = torch.zeros(200, 3), torch.zeros(200, dtype=torch.bool)
    for instance in sorted(set(instances.tolist()) - {-1}):
        rows = instances == instance
        counts = Counter(labels[rows].tolist())
        label = min(counts, key=lambda value: (-counts[value], value))
        if label < 0:
            continue
        low, high = POINTS[rows].min(dim=0).values, POINTS[rows].max(dim=0).values
        boxes.append([*((low + high) / 2).tolist(), *(high - low).tolist(), 0])
        classes.append(label)
        votes[rows] = (low + high) / 2 - POINTS[rows]
        on_object |= rows
    assert 2 < len(boxes) < 6
    assert_close(found.boxes, torch.tensor(boxes))
    assert found.labels.tolist() == classes
    assert torch.equal(found.on_object, on_object)
    assert_close(found.votes, votes.unsqueeze(1).expand(-1, 3, -1))


def test_an_instance_takes_the_label_of_most_of_its_points():
    points = torch.tensor([[0.0, 0, 0], [1, 1, 1], [2, 2, 2]])
    found = targets_from_instances(
        points, torch.zeros(3).long(), torch.tensor([1, 0, 1]), n_classes=2
    )
    assert found.labels.tolist() == [1]
    nothing = targets_from_instances(
        points, torch.zeros(3).long(), torch.tensor([-1, 0, -1]), n_classes=2
    )
    assert nothing.labels.tolist() == []
    assert not nothing.on_object.any()


def test_one_point_is_a_box_without_volume():
    found = targets_from_instances(POINTS[:1], torch.tensor([5]), torch.tensor([0]), n_classes=1)
    assert found.boxes.tolist() == [[*POINTS[0].tolist(), 0, 0, 0, 0]]
    assert found.votes.abs().sum() == 0
    assert found.on_object.tolist() == [True]


def test_a_point_votes_for_the_first_three_boxes_that_it_lies_in():
    boxes = torch.tensor([[float(i), 0, 0, 4, 4, 4, 0.3 * i] for i in range(6)])
    points = torch.tensor([[0.0, 0, 0], [2.5, 0, 0], [50.0, 0, 0], [6.9, 0, 0]])
    found = targets_from_boxes(points, boxes, torch.zeros(6).long(), n_classes=1)
    assert found.on_object.tolist() == [True, True, False, True]
    x = (points[:, None] + found.votes)[..., 0]
    assert x[0].tolist() == [0, 1, 2]
    assert x[1].tolist() == [1, 2, 3]  # and 4
    assert found.votes[2].abs().sum() == 0
    assert x[3].tolist() == [5, 5, 5]  # the only one, repeated
    assert torch.equal(found.boxes, boxes)


def test_two_boxes_around_a_point_and_none_more():
    boxes = torch.tensor(
        [[0.0, 0, 0, 2, 2, 2, 0], [9.0, 0, 0, 2, 2, 2, 0], [0.5, 0, 0, 2, 2, 2, 0]]
    )
    found = targets_from_boxes(torch.zeros(1, 3), boxes, torch.zeros(3).long(), n_classes=1)
    assert set(found.votes[0, :, 0].tolist()) == {0.0, 0.5}


def test_scenes_without_boxes():
    none = torch.full((200,), -1)
    for found in (
        targets_from_instances(POINTS, none, none, n_classes=3),
        targets_from_boxes(POINTS, torch.zeros(0, 7), none[:0], n_classes=3),
    ):
        assert found.votes.shape == (200, 3, 3)
        assert found.boxes.shape == (0, 7)
        assert found.labels.dtype == torch.long
        assert not found.on_object.any()
        batch = batch_targets([found], torch.tensor([[0, 5]]))
        assert batch.boxes.shape == (1, 1, 7)
        assert not batch.is_box.any()


def test_no_points():
    none = torch.zeros(0).long()
    assert targets_from_instances(POINTS[:0], none, none, n_classes=1).boxes.shape == (0, 7)
    one = torch.zeros(1, 7)
    found = targets_from_boxes(POINTS[:0], one, torch.zeros(1).long(), n_classes=1)
    assert found.votes.shape == (0, 3, 3)


def test_a_batch_gathers_seeds_and_pads_boxes():
    boxes = torch.tensor([[1.0, 1, 1, 2, 2, 2, 0.5], [3.0, 3, 3, 2, 2, 2, 0]])
    one, two = (
        targets_from_boxes(points, boxes[:k], torch.tensor([2, 1])[:k], n_classes=3)
        for points, k in ((POINTS[:50], 1), (POINTS, 2))
    )
    index = torch.tensor([[4, 49, 4], [199, 0, 7]])
    batch = batch_targets([one, two], index)
    assert torch.equal(batch.votes, torch.stack([one.votes[index[0]], two.votes[index[1]]]))
    assert batch.on_object[1].tolist() == two.on_object[index[1]].tolist()
    assert batch.is_box.tolist() == [[True, False], [True, True]]
    assert batch.labels.tolist() == [[2, 0], [2, 1]]
    assert torch.equal(batch.boxes[0, 0], boxes[0])
    assert torch.equal(batch.boxes[1], boxes)
    assert batch.boxes[0, 1].abs().sum() == 0


def test_a_batch_refuses_other_scenes_and_points():
    scene = targets_from_boxes(POINTS, torch.zeros(0, 7), torch.zeros(0).long(), n_classes=1)
    with pytest.raises(ValueError, match="scenes must be as many as index has rows, got 1"):
        batch_targets([scene], torch.zeros(2, 3).long())
    with pytest.raises(ValueError, match="scenes must be as many as index has rows, got 0"):
        batch_targets([], torch.zeros(0, 3).long())
    with pytest.raises(ValueError, match=r"index must lie in \[0, 200\), got \[0, 200\]"):
        batch_targets([scene], torch.tensor([[0, 200]]))


def with_value(column, value):
    box = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]])
    box[0, column] = value
    return box


@pytest.mark.parametrize(
    ("boxes", "label", "problem"),
    [
        (with_value(6, math.nan), 0, "boxes must be finite, got NaN or infinity"),
        (with_value(3, -0.5), 0, r"boxes must have sizes of at least 0, got -0\.5"),
        (with_value(0, 1.0), 3, r"labels must lie in \[0, 3\), got \[3, 3\]"),
    ],
)
def test_boxes_that_are_none_are_refused(boxes, label, problem):
    with pytest.raises(ValueError, match=problem):
        targets_from_boxes(POINTS, boxes, torch.tensor([label]), n_classes=3)


def test_points_labels_and_ids_are_checked():
    zeros, nan = torch.zeros(200).long(), torch.full((200, 3), math.nan)
    with pytest.raises(ValueError, match="points must be finite"):
        targets_from_instances(nan, zeros, zeros, n_classes=1)
    with pytest.raises(ValueError, match="points must be finite"):
        targets_from_boxes(nan, torch.zeros(0, 7), zeros[:0], n_classes=1)
    with pytest.raises(ValueError, match=r"labels must lie in \[-1, 1\), got \[1, 1\]"):
        targets_from_instances(POINTS, zeros, zeros + 1, n_classes=1)
    with pytest.raises(ValueError, match=r"instances must lie in \[-1, .*\), got \[-2, -2\]"):
        targets_from_instances(POINTS, zeros - 2, zeros, n_classes=1)


NYU40_IDS = (
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    14,
    16,
    24,
    28,
    33,
    34,
    36,
    39,
)  # ScanNet's 18 classes


@pytest.mark.real
def test_boxes_of_real_instances_are_those_that_votenet_prepares(real_data):
    """Its boxes are of all vertices, here are 50 thousand of them: they end a little earlier."""
    scene = np.load(real_data / "scannet" / "points50k" / "scene0001_00.npz")
    table = torch.full((256,), -1)
    table[list(NYU40_IDS)] = torch.arange(18)
    found = targets_from_instances(
        torch.from_numpy(scene["coord"]),
        torch.from_numpy(scene["instance"].astype(np.int64)) - 1,  # 0 is none
        table[torch.from_numpy(scene["nyu40"].astype(np.int64))],
        n_classes=18,
    )
    truth = torch.from_numpy(scene["bbox"]).float()
    assert found.labels.sort().values.tolist() == table[truth[:, 6].long()].sort().values.tolist()
    nearest = torch.cdist(found.boxes[:, :3], truth[:, :3]).argmin(dim=1)
    assert sorted(nearest.tolist()) == list(range(len(truth)))
    assert (found.boxes[:, :6] - truth[nearest, :6]).abs().max() < 0.05
