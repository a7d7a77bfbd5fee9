"""Tests of pcl_pseudolabel.offset_vectors."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_pseudolabel import centroid_offsets, offset_loss


def grid_points(n: int, seed: int) -> torch.Tensor:
    """Multiples of 1/8: sums of them are exact."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-64, 64, (n, 3), generator=generator).double() / 8


def reference_loss(predicted, target, valid) -> float:
    """Equation 2, term by term, over the valid points."""
    terms = []
    for p, t, v in zip(predicted.tolist(), target.tolist(), valid.tolist(), strict=True):
        if not v:
            continue
        length_p, length_t = math.hypot(*p), math.hypot(*t)
        cosine = sum(a * b for a, b in zip(p, t, strict=True))
        cosine = cosine / (length_p * length_t) if length_p and length_t else 0.0
        terms.append(sum(abs(a - b) for a, b in zip(p, t, strict=True)) - cosine)
    return sum(terms) / len(terms)


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_offset_leads_to_the_centroid_of_the_instance_in_the_scene(seed, n):
    generator = torch.Generator().manual_seed(seed)
    points = grid_points(n, seed)
    instances = torch.randint(-1, 4, (n,), generator=generator)
    scene = torch.randint(0, 2, (n,), generator=generator).sort().values
    offsets = centroid_offsets(points, instances, scene)
    for i in range(n):
        same = (instances == instances[i]) & (scene == scene[i])
        expected = points[same].mean(0) - points[i] if instances[i] >= 0 else torch.zeros(3)
        assert_close(offsets[i], expected.double(), atol=1e-12, rtol=0)


def test_offsets_of_a_large_far_instance_stay_accurate_in_float32():
    points = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0)) + 500
    zeros = torch.zeros(len(points), dtype=torch.long)
    exact = points.double().mean(0) - points.double()
    error = (centroid_offsets(points, zeros, zeros).double() - exact).abs().max()
    assert error < 1e-7  # rounding of the result only; a float32 sum is off by centimetres


def test_offsets_of_no_points_and_of_no_instances_are_zero():
    none = torch.zeros(0, dtype=torch.long)
    assert centroid_offsets(torch.zeros(0, 3), none, none).shape == (0, 3)
    free = torch.tensor([-1, -1])
    assert_close(centroid_offsets(torch.ones(2, 3), free, torch.tensor([0, 0])), torch.zeros(2, 3))


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_loss_is_equation_2(seed, n):
    predicted, target = grid_points(n, seed), grid_points(n, seed + 1)
    target[0] = 0
    valid = torch.rand(n, generator=torch.Generator().manual_seed(seed)) < 0.7
    valid[0] = True
    expected = reference_loss(predicted, target, valid)
    # the 1e-8 m added to lengths of at least 1/8 m changes a cosine by less than 2e-7
    assert offset_loss(predicted, target, valid).item() == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_terms_of_points_add_up_to_the_sum_and_the_mean(seed, n):
    predicted, target = grid_points(n, seed), grid_points(n, seed + 1)
    valid = torch.rand(n, generator=torch.Generator().manual_seed(seed)) < 0.7
    terms, total, mean = (
        offset_loss(predicted, target, valid, reduction=one) for one in ("none", "sum", "mean")
    )
    assert terms.shape == (n,)
    assert (terms[~valid] == 0).all()
    for i in valid.nonzero()[:, 0].tolist():
        alone = offset_loss(predicted[i : i + 1], target[i : i + 1], torch.tensor([True]))
        assert_close(terms[i], alone)
    assert_close(terms.sum(), total)
    assert_close(total, mean * valid.sum().clamp(min=1))


def test_loss_rejects_another_reduction():
    with pytest.raises(ValueError, match="reduction must be mean, sum or none, got max"):
        offset_loss(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([True]), reduction="max")


def test_loss_without_a_valid_point_is_zero_with_a_gradient():
    predicted = torch.ones(3, 3, requires_grad=True)
    loss = offset_loss(predicted, torch.ones(3, 3), torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert_close(predicted.grad, torch.zeros(3, 3))


def test_points_that_are_not_valid_change_nothing():
    predicted, target = torch.eye(3), torch.ones(3, 3)
    valid = torch.tensor([True, False, True])
    other = predicted.clone()
    other[1] = torch.nan
    assert_close(offset_loss(other, target, valid), offset_loss(predicted, target, valid))


def test_loss_gradient():
    predicted = grid_points(6, 1).requires_grad_()
    target = grid_points(6, 2) + 1 / 16  # no component is equal, where |x| has a corner
    valid = torch.tensor([True] * 5 + [False])
    for reduction in ("mean", "sum", "none"):
        assert torch.autograd.gradcheck(
            lambda p, reduction=reduction: offset_loss(p, target, valid, reduction=reduction),
            predicted,
        )
