"""Tests of pcl_backbones.positions."""

import pytest
import torch

from pcl_backbones.positions import positions


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e18, -2e18])
def test_positions_are_finite_and_near_enough_to_square(bad):
    points = torch.zeros(1, 2, 3)
    points[0, 1, 2] = bad
    with pytest.raises(ValueError, match=r"known must be finite and within 1e\+18 of zero"):
        positions(points=torch.zeros(1, 1, 3), known=points)


def test_all_come_in_the_widest_type_of_them():
    half, single, double = (
        torch.ones(1, 1, 3, dtype=dtype) for dtype in (torch.bfloat16, torch.float32, torch.float64)
    )
    assert [p.dtype for p in positions(a=half, b=half)] == [torch.float32] * 2
    assert [p.dtype for p in positions(a=half, b=double)] == [torch.float64] * 2
    assert positions(a=single)[0].data_ptr() == single.data_ptr()


def test_no_gradient_and_no_points_are_fine():
    points = torch.ones(1, 1, 3, requires_grad=True)
    assert not positions(points=points)[0].requires_grad
    assert positions(points=torch.zeros(1, 0, 3))[0].shape == (1, 0, 3)
