"""Tests of pcl_backbones.point_features."""

import inspect

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_features import gather_features, interpolate_features

FEATURES = torch.arange(12.0).reshape(2, 2, 3)


def test_features_are_those_of_the_ids_in_their_scene():
    ids = torch.tensor([[[2, 0], [1, 1]], [[0, 0], [2, 1]]])
    expected = torch.empty(2, 2, 2, 2)
    for b, c, i, j in torch.cartesian_prod(*[torch.arange(2)] * 4):
        expected[b, c, i, j] = FEATURES[b, c, ids[b, i, j]]
    assert torch.equal(gather_features(FEATURES, ids), expected)
    assert torch.equal(gather_features(FEATURES, ids[:, 0].int()), expected[:, :, 0])
    assert gather_features(FEATURES, ids[:, :, :0]).shape == (2, 2, 2, 0)


def test_gradients_of_gathered_and_interpolated_features():
    features = torch.rand(2, 2, 5, dtype=torch.float64, requires_grad=True)
    ids = torch.randint(5, (2, 4, 3))
    distances = torch.rand(2, 4, 3, dtype=torch.float64) + 0.1
    assert torch.autograd.gradcheck(lambda f: gather_features(f, ids), features)
    assert torch.autograd.gradcheck(lambda f: interpolate_features(f, distances, ids), features)


def test_gradients_are_the_same_bits_with_any_number_of_threads():
    torch.manual_seed(0)
    features = torch.rand(2, 16, 50, requires_grad=True)
    ids, gradient = torch.randint(50, (2, 4000, 4)), torch.randn(2, 16, 4000, 4)
    found, n_threads = [], torch.get_num_threads()
    try:
        for n in (1, 2, 2):
            torch.set_num_threads(n)
            found += torch.autograd.grad(gather_features(features, ids), features, gradient)
    finally:
        torch.set_num_threads(n_threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


def test_the_mean_by_inverse_distance():
    """Weights 1/1, 1/2, 1/4 sum to 7/4: (6 * 1 + 12 / 2 + 24 / 4) / (7/4) = 72 / 7."""
    features, ids = torch.tensor([[[24.0, 12, 6]]]), torch.tensor([[[2, 1, 0]]])
    found = interpolate_features(features, torch.tensor([[[1.0, 2, 4]]]), ids)
    assert_close(found, torch.tensor([[[72 / 7]]]))


def test_a_known_point_at_the_very_place_has_nearly_all_the_weight():
    found = interpolate_features(
        FEATURES[:1], torch.tensor([[[0.0, 1, 1]]]), torch.arange(3)[None, None]
    )
    assert_close(found[:, :, 0], FEATURES[:1, :, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (torch.tensor([[0], [3]]), r"ids must lie in \[0, 3\), got \[0, 3\]"),
        (torch.tensor([[0], [-1]]), r"ids must lie in \[0, 3\), got \[-1, 0\]"),
        (torch.tensor([[0]]), "ids must be of 2 scenes, got 1"),
        (torch.tensor([[0.0], [1]]), "ids must be of signed integers, got float32"),
    ],
)
def test_gathering_rejects(ids, problem):
    with pytest.raises(ValueError, match=problem):
        checked(inspect.unwrap(gather_features))(FEATURES, ids)  # without their type checker


def test_interpolation_rejects_ids_that_do_not_fit_the_distances():
    with pytest.raises(ValueError, match=r"ids must have shape \(b, n, k\) with b = 2 .* n = 4"):
        checked(inspect.unwrap(interpolate_features))(
            FEATURES, torch.ones(2, 4, 3), torch.zeros(2, 5, 3, dtype=torch.long)
        )
