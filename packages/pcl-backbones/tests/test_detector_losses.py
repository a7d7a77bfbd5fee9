"""Tests of pcl_backbones.detector_losses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_backbones.detector_losses import box_loss, detection_loss, focal_loss, heading_loss
from pcl_backbones.location_assignment import assign_locations
from pcl_backbones.sparse_detector import LocationPredictions

CUBE = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]])


def random_boxes(n, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(n, 7, generator=generator, dtype=dtype)
    return rows * torch.tensor([1, 1, 1, 2, 2, 2, 6.0]) + torch.tensor([0, 0, 0, 0.1, 0.1, 0.1, -3])


def predictions(*, has_heading=True, seed=0):
    """Of two scenes with 40 locations each, of two levels and three classes."""
    generator = torch.Generator().manual_seed(seed)
    locations = torch.rand(80, 3, generator=generator) * 2
    boxes = random_boxes(80, seed, torch.float32)
    boxes[:, 6] *= has_heading
    logits = torch.randn(80, 3, generator=generator)
    cells = torch.tensor([0.25, 0.5]).repeat_interleave(40)
    return LocationPredictions(
        locations,
        cells,
        torch.arange(80) % 2,
        logits.requires_grad_(),
        boxes.requires_grad_(),
        has_heading,
    )


def test_focal_loss_is_its_equation():
    logits = torch.tensor([[-2.0, 0, 3], [1, -1, 0.5]])
    is_class = torch.tensor([[True, False, False], [False, False, True]])
    expected = [[0.0] * 3 for _ in range(2)]
    for i in range(2):
        for j in range(3):
            p = 1 / (1 + math.exp(-logits[i, j]))
            q, alpha = (p, 0.25) if is_class[i, j] else (1 - p, 0.75)
            expected[i][j] = -alpha * (1 - q) ** 2 * math.log(q)
    assert_close(focal_loss(logits, is_class), torch.tensor(expected))


def test_focal_loss_and_its_gradient_are_finite_however_sure_the_logits():
    logits = torch.tensor([[-200.0, 200, -200, 200]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[True, True, False, False]]))
    assert_close(loss.detach(), torch.tensor([[50.0, 0, 0, 150]]))  # alpha * 200
    loss.sum().backward()
    assert logits.grad.isfinite().all()


def test_the_gradient_of_focal_loss_is_that_of_finite_differences():
    logits = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    is_class = torch.tensor([[True, False], [False, False], [False, True]])
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, is_class), logits)


def slow_box_loss(box, truth):
    """1 - IoU + (d / c)^2 of two boxes that both have the heading of the second."""
    cos, sin = math.cos(truth[6]), math.sin(truth[6])
    dx, dy = box[0] - truth[0], box[1] - truth[1]
    center = (cos * dx + sin * dy, -sin * dx + cos * dy, box[2] - truth[2])
    shared, diagonal, distance = 1.0, 0.0, 0.0
    for axis in range(3):
        low, high = center[axis] - box[3 + axis] / 2, center[axis] + box[3 + axis] / 2
        reach = truth[3 + axis] / 2
        shared *= max(0.0, min(high, reach) - max(low, -reach))
        diagonal += (max(high, reach) - min(low, -reach)) ** 2
        distance += center[axis] ** 2
    union = math.prod(box[3:6]) + math.prod(truth[3:6]) - shared
    return 1 - shared / union + distance / diagonal


def test_box_loss_is_its_equation():
    boxes, truth = random_boxes(50), random_boxes(50, seed=1)
    expected = [slow_box_loss(b, t) for b, t in zip(boxes.tolist(), truth.tolist(), strict=True)]
    assert_close(box_loss(boxes, truth), torch.tensor(expected, dtype=torch.float64))
    assert min(expected) < 1 < max(expected)  # some overlap, some do not


def test_the_gradient_of_box_loss_is_that_of_finite_differences():
    boxes, truth = random_boxes(8).requires_grad_(), random_boxes(8, seed=1)
    assert torch.autograd.gradcheck(lambda x: box_loss(x, truth), boxes)


@given(st.floats(-4, 4), st.integers(0, 99))
def test_box_loss_does_not_see_a_turn_of_the_scene_and_is_bounded(angle, seed):
    boxes, truth = random_boxes(4, seed), random_boxes(4, seed + 1)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float64)

    def turned(rows):
        return torch.cat([rows[:, :2] @ turn, rows[:, 2:6], rows[:, 6:] + angle], dim=1)

    loss = box_loss(boxes, truth)
    assert_close(box_loss(turned(boxes), turned(truth)), loss)
    assert (loss >= 0).all()
    assert (loss < 2).all()
    assert_close(box_loss(truth, truth), torch.zeros_like(loss))


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(-3, 3))
def test_heading_loss_is_half_one_minus_the_cosine_of_twice_the_difference(first, second, turns):
    headings = torch.tensor([first + turns * math.pi], dtype=torch.float64)
    truth = torch.tensor([second], dtype=torch.float64)
    expected = torch.tensor([(1 - math.cos(2 * (first - second))) / 2], dtype=torch.float64)
    assert_close(heading_loss(headings, truth), expected)


@pytest.mark.parametrize("has_heading", [True, False])
def test_the_loss_of_a_batch_is_its_loop(has_heading):
    found = predictions(has_heading=has_heading)
    boxes = [random_boxes(3, 5, torch.float32), random_boxes(2, 6, torch.float32)]
    for rows in boxes:
        rows[:, 6] *= has_heading
    labels = [torch.tensor([2, 0, 1]), torch.tensor([1, 1])]
    classes, of_boxes, headings, n_positive = 0.0, 0.0, 0.0, 0
    for scene in range(2):
        rows = (found.scene == scene).nonzero()[:, 0]
        owner = assign_locations(found.locations[rows], found.cell_sizes[rows], boxes[scene])
        for row, box in zip(rows.tolist(), owner.tolist(), strict=True):
            is_class = torch.zeros(1, 3, dtype=torch.bool)
            if box >= 0:
                is_class[0, labels[scene][box]] = True
                truth = boxes[scene][box].tolist()
                of_boxes += slow_box_loss(found.boxes[row].tolist(), truth)
                headings += math.sin(found.boxes[row, 6].item() - truth[6]) ** 2
                n_positive += 1
            classes += float(focal_loss(found.logits[row : row + 1].detach(), is_class).sum())
    expected = torch.tensor([classes, of_boxes, headings]) / n_positive
    loss = detection_loss(found, boxes, labels)
    assert_close(torch.stack(loss), expected)
    assert_close(loss.total, expected.sum())
    assert n_positive > 10


def test_a_scene_without_a_box_has_negatives_only():
    found, none = predictions(), [torch.zeros(0, 7)] * 2
    loss = detection_loss(found, none, [torch.zeros(0).long()] * 2)
    nothing = torch.zeros(80, 3, dtype=torch.bool)
    assert_close(loss.classes, focal_loss(found.logits, nothing).sum())
    assert loss.boxes == loss.headings == 0
    loss.total.backward()
    assert (found.logits.grad > 0).all()  # every class becomes less likely
    assert not found.boxes.grad.any()


def test_only_locations_that_learn_a_box_move_theirs():
    found = predictions()
    boxes, labels = [CUBE + 0.5, CUBE[:0]], [torch.tensor([1]), torch.zeros(0).long()]
    detection_loss(found, boxes, labels).total.backward()
    moved = found.boxes.grad.any(dim=1)
    first = found.scene == 0
    owner = assign_locations(found.locations[first], found.cell_sizes[first], boxes[0])
    assert torch.equal(moved[first], owner >= 0)
    assert not moved[~first].any()
    assert owner.max() == 0


ONE = {"boxes": [CUBE, CUBE], "labels": [torch.tensor([0]), torch.tensor([2])]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"boxes": [CUBE]}, "boxes must be of 2 scenes, got 1"),
        ({"labels": [torch.tensor([0])] * 3}, "labels must be of 2 scenes, got 3"),
        ({"labels": [torch.tensor([3])] * 2}, r"labels must lie in \[0, 3\), got \[3, 3\]"),
        ({"labels": [torch.tensor([-1])] * 2}, r"labels must lie in \[0, 3\), got \[-1, -1\]"),
        ({"boxes": [CUBE * torch.nan] * 2}, "boxes must be finite, got nan"),
        ({"boxes": [CUBE, -CUBE]}, "boxes must have sizes above 0, got -1"),
        ({"boxes": [CUBE + 0.5] * 2}, "boxes must have heading 0 for a detector without has_head"),
    ],
)
def test_rejects(change, problem):
    found = predictions(has_heading=False)
    with pytest.raises(ValueError, match=problem):
        detection_loss(found, **ONE | change)


def test_a_heading_that_is_no_number_is_told_as_such():
    boxes = CUBE.clone()
    boxes[0, 6] = torch.nan
    with pytest.raises(ValueError, match="boxes must be finite, got nan"):
        detection_loss(predictions(has_heading=False), **ONE | {"boxes": [boxes, CUBE]})
