"""Tests of pcl_backbones.box_points."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones.box_points import boxes_with_points, points_in_boxes


def inside_by_loop(point, box):
    """Turn the point into the frame of the box and compare."""
    offset = complex(point[0] - box[0], point[1] - box[1])
    own = offset * complex(math.cos(box[6]), -math.sin(box[6]))
    return (
        abs(own.real) <= box[3] / 2
        and abs(own.imag) <= box[4] / 2
        and abs(point[2] - box[2]) <= box[5] / 2
    )


def test_as_in_a_loop_over_points_and_boxes():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(60, 3, generator=generator, dtype=torch.float64) * 4
    boxes = torch.rand(40, 7, generator=generator, dtype=torch.float64) * 4  # more than one chunk
    expected = [[inside_by_loop(p, b) for b in boxes.tolist()] for p in points.tolist()]
    inside = points_in_boxes(points, boxes)
    assert inside.tolist() == expected
    assert 0.02 < inside.float().mean() < 0.5


@given(st.integers(-8, 8), st.integers(-8, 8), st.sampled_from([0, 1, 2, 3]))
def test_moving_and_turning_both_changes_nothing(dx, dy, quarters):
    points = torch.rand(30, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.9, 0.3, 0.7, 0.4]], dtype=torch.float64)
    angle = quarters * math.pi / 2
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]],
        dtype=torch.float64,
    )
    shift = torch.tensor([dx, dy, 1.0], dtype=torch.float64)
    moved = boxes.clone()
    moved[:, :3], moved[:, 6] = boxes[:, :3] @ turn.T + shift, boxes[:, 6] + angle
    there = points_in_boxes(points @ turn.T + shift, moved)
    assert torch.equal(there, points_in_boxes(points, boxes))


def test_faces_are_inside_and_a_box_without_volume_holds_its_own_points():
    points = torch.tensor([[1.0, 0, 0], [1.5, 0, 0], [0, 0, 0]])
    boxes = torch.tensor([[0.0, 0, 0, 2, 2, 2, 0], [0.0, 0, 0, 0, 0, 0, 0]])
    assert points_in_boxes(points, boxes).tolist() == [[True, False], [False, False], [True, True]]


def test_what_is_not_finite_is_nowhere():
    points = torch.tensor([[math.nan, 0, 0], [0.0, 0, 0]])
    boxes = torch.tensor([[0.0, 0, 0, 2, 2, 2, math.nan], [0.0, 0, 0, 2, 2, 2, 0]])
    assert points_in_boxes(points, boxes).tolist() == [[False, False], [False, True]]


def test_no_points_and_no_boxes():
    assert points_in_boxes(torch.zeros(0, 3), torch.zeros(2, 7)).shape == (0, 2)
    assert points_in_boxes(torch.zeros(2, 3), torch.zeros(0, 7)).shape == (2, 0)
    assert boxes_with_points(torch.zeros(0, 7), torch.zeros(2, 3)).shape == (0,)


def test_boxes_of_fewer_than_five_points_go():
    boxes = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0], [5.0, 0, 0, 1, 1, 1, 0]])
    points = torch.cat([torch.zeros(5, 3), torch.tensor([[5.0, 0, 0]]).expand(4, 3)])
    assert boxes_with_points(boxes, points).tolist() == [True, False]
    assert boxes_with_points(boxes, points, at_least=4).tolist() == [True, True]
    assert boxes_with_points(boxes, points, at_least=6).tolist() == [False, False]
