"""Tests of pcl_calibration.probability_values."""

import pytest
import torch

from pcl_calibration.probability_values import (
    at_least_single,
    check_head,
    check_n_classes,
    check_range,
    check_row_sums,
)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[0.0, 1.5]], r"x must lie in \[0, 1\], got \[0, 1.5\]"),
        ([[-0.25, 1.0]], r"x must lie in \[0, 1\], got \[-0.25, 1\]"),
        ([[0.5, torch.nan]], r"x must lie in \[0, 1\], got \[nan, nan\]"),
        ([[1.001]], r"x must lie in \[0, 1\], got \[1.001, 1.001\]"),
    ],
)
def test_values_out_of_range_are_refused(values, text):
    with pytest.raises(ValueError, match=text):
        check_range(0, 1, inside=torch.tensor([0.5]), x=torch.tensor(values))


def test_whole_numbers_have_no_slack():
    check_range(0, 3, x=torch.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"x must lie in \[0, 3\], got \[-1, 0\]"):
        check_range(0, 3, x=torch.tensor([-1, 0]))


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float, torch.double])
def test_a_softmax_of_any_type_passes(dtype):
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(0)) * 3
    probabilities = logits.softmax(dim=1).to(dtype)
    check_range(0, 1, x=probabilities)
    check_row_sums(1, 1, x=probabilities)


def test_the_row_sum_farthest_off_is_named():
    rows = torch.tensor([[0.5, 0.5], [0.5, 0.25], [0.25, 0.25], [1.0, 0.0]])
    with pytest.raises(ValueError, match=r"rows of x must sum to 1, got 0.5$"):
        check_row_sums(1, 1, x=rows)
    check_row_sums(0, 1, x=rows)
    with pytest.raises(ValueError, match=r"rows of x must sum to between 0 and 1, got 1.5$"):
        check_row_sums(0, 1, x=torch.tensor([[0.5, 1.0], [0.0, 0.0]]))


def test_a_row_sum_of_nan_is_refused():
    with pytest.raises(ValueError, match=r"rows of x must sum to 1, got nan"):
        check_row_sums(1, 1, x=torch.tensor([[1.0, 0.0], [torch.nan, 0.0]]))


def test_nothing_is_in_range_and_what_has_gradients_too():
    for shape in ((0, 3), (3, 0)):
        check_range(0, 1, x=torch.zeros(shape))
        check_row_sums(1, 1, x=torch.zeros(shape))
    check_range(0, 1, x=torch.ones(2, 1, requires_grad=True))
    check_row_sums(1, 1, x=torch.ones(2, 1, requires_grad=True))


def test_too_few_classes_are_refused():
    check_n_classes(2)
    check_head("sigmoid", 1)
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        check_n_classes(1)
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        check_head("softmax", 1)
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        check_head("sigmoid", 0)
    with pytest.raises(ValueError, match="head must be 'sigmoid' or 'softmax', got 'relu'"):
        check_head("relu", 5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.half, torch.float), (torch.float, torch.float), (torch.double, torch.double)],
)
def test_types_become_single_at_least(given, expected):
    assert at_least_single(torch.ones(1, dtype=given)).dtype == expected
