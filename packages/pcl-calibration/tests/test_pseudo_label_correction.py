"""Tests of pcl_calibration.pseudo_label_correction."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_calibration.pseudo_label_correction import correct_pseudo_labels

seeds = st.integers(0, 10_000)
strengths = st.sampled_from([0, 0.5, 2.0, 1e6])
supports = st.sampled_from([None, 0, 0.02, 0.25, 1])
backgrounds = st.sampled_from([None, 0, 2])


def random_labels(seed, head, n=8, c=4):
    """Probabilities, of which some are exactly 0 and 1, and an error."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(n, c, generator=generator, dtype=torch.double)
    if head == "softmax":
        probabilities = (6 * probabilities).softmax(dim=1)
    probabilities[0] = torch.eye(c)[seed % c]
    error = torch.rand(c, generator=generator, dtype=torch.double) * 2 - 1
    return probabilities, error


def corrected_row(y, error, strength, head, support, background):
    """Eq. 5 for one row of numbers."""
    shifted = [
        p + strength * e if i != background and (support is None or p > support) else p
        for i, (p, e) in enumerate(zip(y, error, strict=True))
    ]
    if head == "sigmoid":
        return [min(max(p, 0), 1) for p in shifted]
    clipped = [max(p, 0) for p in shifted]
    total = sum(p for i, p in enumerate(clipped) if i != background)
    mass = 1 if background is None else 1 - y[background]
    if total == 0:
        return y
    return [y[i] if i == background else p / total * mass for i, p in enumerate(clipped)]


@given(seeds, strengths, st.sampled_from(["sigmoid", "softmax"]), supports, backgrounds)
def test_it_is_equation_5(seed, strength, head, support, background):
    probabilities, error = random_labels(seed, head)
    corrected = correct_pseudo_labels(
        probabilities, error, strength=strength, head=head, support=support, background=background
    )
    for row, y in zip(corrected.tolist(), probabilities.tolist(), strict=True):
        expected = corrected_row(y, error.tolist(), strength, head, support, background)
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(seeds, strengths, st.sampled_from(["sigmoid", "softmax"]), supports, backgrounds)
def test_values_stay_probabilities(seed, strength, head, support, background):
    probabilities, error = random_labels(seed, head)
    probabilities = probabilities.float()
    corrected = correct_pseudo_labels(
        probabilities, error, strength=strength, head=head, support=support, background=background
    )
    assert corrected.min() >= 0
    assert corrected.max() <= 1
    if head == "softmax":
        assert_close(corrected.sum(dim=1), torch.ones(8))
    if background is not None:
        assert torch.equal(corrected[:, background], probabilities[:, background])


@given(seeds, st.sampled_from(["sigmoid", "softmax"]))
def test_no_error_and_no_strength_change_nothing(seed, head):
    probabilities, error = random_labels(seed, head)
    for corrected in (
        correct_pseudo_labels(probabilities, error, strength=0, head=head),
        correct_pseudo_labels(probabilities, torch.zeros(4), head=head),
    ):
        assert_close(corrected, probabilities)


def test_hand_values():
    probabilities = torch.tensor([[0.5, 0.25, 0.25]])
    error = torch.tensor([-0.125, 0.125, 0.5])
    assert correct_pseudo_labels(probabilities, error).tolist() == [[0.25, 0.5, 1.0]]
    # clipped at zero: (1/4, 1/2, 5/4), of which the sum is 2
    softmax = correct_pseudo_labels(probabilities, error, head="softmax")
    assert softmax.tolist() == [[0.125, 0.25, 0.625]]
    # class 0 keeps 1/2, the others share the rest as 1/2 : 5/4
    softmax = correct_pseudo_labels(probabilities, error, head="softmax", background=0)
    assert_close(softmax, torch.tensor([[0.5, 1 / 7, 2.5 / 7]]))


def test_support_is_strictly_above():
    probabilities, error = torch.tensor([[0.25, 0.5]]), torch.tensor([0.125, 0.125])
    corrected = correct_pseudo_labels(probabilities, error, strength=1, support=0.25)
    assert corrected.tolist() == [[0.25, 0.625]]


def test_a_softmax_row_of_which_nothing_is_left_stays():
    probabilities = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    corrected = correct_pseudo_labels(probabilities, -torch.ones(2), head="softmax")
    assert torch.equal(corrected, probabilities)


def test_a_certain_background_leaves_nothing_to_share():
    probabilities = torch.tensor([[1.0, 0.0, 0.0]])
    corrected = correct_pseudo_labels(probabilities, torch.ones(3), head="softmax", background=0)
    assert torch.equal(corrected, probabilities)


def test_rounding_beyond_one_is_clipped():
    probabilities = torch.tensor([[1.00005, -0.00005]])
    for head in ("sigmoid", "softmax"):
        corrected = correct_pseudo_labels(probabilities, torch.zeros(2), head=head)
        assert corrected.tolist() == [[1.0, 0.0]]
    # A background of more than one leaves no negative mass to share, and what stays is clipped too.
    shared = correct_pseudo_labels(probabilities, torch.ones(2), head="softmax", background=0)
    assert shared.tolist() == [[1.0, 0.0]]
    stays = correct_pseudo_labels(probabilities, -torch.ones(2), head="softmax")
    assert stays.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float, torch.double])
def test_the_type_stays_and_there_is_no_gradient(dtype):
    probabilities = torch.full((1, 2), 0.5, dtype=dtype, requires_grad=True)
    error = torch.tensor([0.25, -0.25], dtype=torch.double)
    corrected = correct_pseudo_labels(probabilities, error, strength=1, head="softmax")
    assert corrected.dtype == dtype
    assert corrected.tolist() == [[0.75, 0.25]]
    assert not corrected.requires_grad


def test_the_input_stays_as_it_was():
    probabilities, error = random_labels(0, "softmax")
    before = probabilities.clone(), error.clone()
    correct_pseudo_labels(probabilities, error, head="softmax", background=1)
    assert torch.equal(probabilities, before[0])
    assert torch.equal(error, before[1])


def test_no_rows_and_one_class():
    for head in ("sigmoid", "softmax"):
        corrected = correct_pseudo_labels(torch.zeros(0, 2), torch.ones(2), head=head)
        assert corrected.shape == (0, 2)
    one = correct_pseudo_labels(torch.tensor([[0.5]]), torch.tensor([0.125]))
    assert one.tolist() == [[0.75]]
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        correct_pseudo_labels(torch.ones(1, 1), torch.zeros(1), head="softmax")


def test_bad_values_are_refused():
    error = torch.zeros(2)
    for bad in (1.5, -0.5, math.nan):
        with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\], got"):
            correct_pseudo_labels(torch.tensor([[0.5, bad]]), error)
        with pytest.raises(ValueError, match=r"error must lie in \[-1, 1\], got"):
            correct_pseudo_labels(torch.eye(2), torch.tensor([0.0, 2 * bad - 1]))
    with pytest.raises(ValueError, match=r"rows of probabilities must sum to 1, got 1.5"):
        correct_pseudo_labels(torch.tensor([[0.5, 1.0]]), error, head="softmax")
    with pytest.raises(ValueError, match=r"error must have shape \(c,\) with c = 2"):
        correct_pseudo_labels(torch.eye(2), torch.zeros(3))


def test_bad_options_are_refused():
    labels = torch.eye(2), torch.zeros(2)
    for strength in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"strength must be at least 0 .*, got {strength}"):
            correct_pseudo_labels(*labels, strength=strength)
    for support in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"support must lie in \[0, 1\], got {support}"):
            correct_pseudo_labels(*labels, support=support)
    for background in (-1, 2):
        with pytest.raises(ValueError, match=rf"background must lie in \[0, 2\), got {background}"):
            correct_pseudo_labels(*labels, background=background)
    unchecked = inspect.unwrap(correct_pseudo_labels)  # users run without the checks of the tests
    with pytest.raises(ValueError, match="head must be 'sigmoid' or 'softmax', got 'x'"):
        unchecked(*labels, head="x")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_the_gpu_agrees(head):
    probabilities, error = random_labels(0, head)
    options = {"head": head, "support": 0.1, "background": 1}
    found = correct_pseudo_labels(probabilities.cuda(), error.cuda(), **options)
    assert_close(found.cpu(), correct_pseudo_labels(probabilities, error, **options))
