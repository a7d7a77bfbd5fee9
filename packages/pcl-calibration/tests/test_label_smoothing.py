"""Tests of pcl_calibration.label_smoothing."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_calibration.label_smoothing import (
    confusion_smoothing,
    similarity_smoothing,
    smooth_labels,
    uniform_smoothing,
)

seeds = st.integers(0, 10_000)


def random_similarity(seed, c=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(c, c, generator=generator, dtype=torch.double) * 2 - 1


def random_smoothing(seed, c=5):
    return (5 * random_similarity(seed, c)).softmax(dim=1)


def random_targets(seed, n=6, c=5):
    """Soft rows, one-hot rows, and a row of zeros at the end."""
    generator = torch.Generator().manual_seed(seed)
    soft = torch.rand(n - 3, c, generator=generator, dtype=torch.double).softmax(dim=1)
    return torch.cat([soft, torch.eye(c, dtype=torch.double)[:2], torch.zeros(1, c).double()])


@given(
    seeds,
    st.lists(st.integers(0, 1000), min_size=5, max_size=5),
    st.sampled_from([0, 0.5, 1.5, 3]),
    st.sampled_from([None, 0.5, 2, 10.0]),
)
def test_similarity_smoothing_is_equation_2(seed, counts, gamma, normalizer):
    similarity = random_similarity(seed)
    smoothing = similarity_smoothing(
        similarity, torch.tensor(counts), gamma=gamma, count_normalizer=normalizer
    )
    ratios = [n / (normalizer or 1) if n else 1 for n in counts]
    for i in range(5):
        exponents = [similarity[i, j].item() / ratios[j] ** gamma for j in range(5)]
        largest = max(exponents)  # cancels; keeps exp within range
        row = [math.exp(x - largest) for x in exponents]
        expected = torch.tensor(row, dtype=torch.double) / sum(row)
        assert_close(smoothing[i], expected, rtol=1e-9, atol=1e-12)


def test_a_hand_value():
    # exponents of row 0: 1 / 4 ** 1.5 = 1/8 and 0.5 / 1 = 1/2
    smoothing = similarity_smoothing(torch.tensor([[1.0, 0.5], [0.5, 1.0]]), torch.tensor([4, 1]))
    assert smoothing[0, 1].item() == pytest.approx(1 / (1 + math.exp(-3 / 8)))


@given(seeds, st.lists(st.integers(0, 10**9), min_size=5, max_size=5), st.floats(0, 1000))
def test_rows_sum_to_one_whatever_the_counts(seed, counts, gamma):
    smoothing = similarity_smoothing(
        random_similarity(seed), torch.tensor(counts), gamma=gamma, count_normalizer=1e6
    )
    assert_close(smoothing.sum(dim=1), torch.ones(5, dtype=torch.double))
    assert smoothing.min() >= 0


def test_rare_classes_get_more_the_rarer_they_are():
    similarity = torch.full((4, 4), 0.5).fill_diagonal_(1.0)
    row = similarity_smoothing(similarity, torch.tensor([50, 20, 2, 1]))[0]
    assert row[1] < row[2] < row[3]


def test_it_tends_to_the_uniform_one_as_gamma_grows():
    smoothing = similarity_smoothing(random_similarity(0), torch.tensor([2, 3, 4, 9, 9]), gamma=99)
    assert_close(smoothing, uniform_smoothing(5))


def test_gamma_of_zero_is_the_softmax_of_the_similarity():
    similarity = random_similarity(0)
    smoothing = similarity_smoothing(similarity, torch.tensor([1, 9, 0, 4, 70]), gamma=0)
    assert_close(smoothing, similarity.softmax(dim=1))


def test_counts_of_points_relative_to_the_smallest_are_like_counts_of_instances():
    similarity, counts = random_similarity(0), torch.tensor([1, 2, 3, 8, 20])
    points = similarity_smoothing(similarity, counts * 5000, count_normalizer=5000)
    assert_close(points, similarity_smoothing(similarity, counts))
    frequencies = (counts / 34).double()
    relative = similarity_smoothing(similarity, frequencies, count_normalizer=1 / 34)
    assert_close(relative, points)


def test_unseen_classes_get_nothing_if_excluded():
    similarity, counts = random_similarity(0), torch.tensor([3, 0, 5, 0, 1])
    smoothing = similarity_smoothing(similarity, counts, exclude_unseen=True)
    assert smoothing[:, [1, 3]].abs().max() == 0
    seen = [0, 2, 4]
    kept = similarity_smoothing(similarity, counts)[:, seen]
    assert_close(smoothing[:, seen], kept / kept.sum(dim=1, keepdim=True))


def test_weights_beyond_the_largest_number_reach_the_limit_of_the_softmax():
    similarity = torch.tensor([[1.0, 0.5], [0.0, -1.0]])
    smoothing = similarity_smoothing(
        similarity, torch.tensor([1, 1]), gamma=3, count_normalizer=1e200
    )
    assert smoothing.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_options_of_similarity_smoothing_are_refused():
    similarity, counts = torch.eye(2), torch.tensor([1, 0])
    for gamma in (-0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"gamma must be at least 0 and finite, got {gamma}"):
            similarity_smoothing(similarity, counts, gamma=gamma)
    for normalizer in (0.0, -1.0, math.nan, math.inf):
        text = rf"count_normalizer must be positive and finite, got {normalizer}"
        with pytest.raises(ValueError, match=text):
            similarity_smoothing(similarity, counts, count_normalizer=normalizer)
    with pytest.raises(ValueError, match="counts must hold a class with an instance, got none"):
        similarity_smoothing(similarity, torch.tensor([0, 0]), exclude_unseen=True)
    with pytest.raises(ValueError, match=r"counts must lie in \[0, inf\], got \[-1, 1\]"):
        similarity_smoothing(similarity, torch.tensor([1, -1]))
    with pytest.raises(ValueError, match=r"counts must lie in \[0, inf\], got \[nan, nan\]"):
        similarity_smoothing(similarity, torch.tensor([1.0, math.nan]))
    for bad in (2.0, -2.0, math.nan):
        with pytest.raises(ValueError, match=r"similarity must lie in \[-1, 1\], got"):
            similarity_smoothing(torch.tensor([[1.0, bad], [0.0, 1.0]]), counts)
    with pytest.raises(ValueError, match=r"counts must have shape \(c,\)"):
        similarity_smoothing(similarity, torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        similarity_smoothing(torch.ones(1, 1), torch.tensor([1]))


def test_uniform_smoothing_is_one_over_the_number_of_classes():
    assert uniform_smoothing(4).tolist() == [[0.25] * 4] * 4
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        uniform_smoothing(1)


@given(seeds)
def test_confusion_smoothing_is_the_chance_of_the_truth_given_the_prediction(seed):
    generator = torch.Generator().manual_seed(seed)
    confusion = torch.randint(0, 3, (4, 4), generator=generator)  # has zero rows and columns
    rows = confusion.tolist()
    rates = [[x / max(sum(row), 1) for x in row] for row in rows]
    smoothing = confusion_smoothing(confusion)
    for i in range(4):
        total = sum(rates[k][i] for k in range(4))
        for j in range(4):
            expected = rates[j][i] / total if total else float(i == j)
            assert smoothing[i, j].item() == pytest.approx(expected, abs=1e-15)
    assert_close(smoothing.sum(dim=1), torch.ones(4, dtype=torch.double))


def test_a_perfect_classifier_is_not_smoothed():
    assert torch.equal(
        confusion_smoothing(torch.diag(torch.tensor([3.0, 5.0]))), torch.eye(2).double()
    )


def test_bad_confusions_are_refused():
    with pytest.raises(ValueError, match=r"confusion must lie in \[0, inf\], got \[-1, 2\]"):
        confusion_smoothing(torch.tensor([[2, -1], [0, 1]]))
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        confusion_smoothing(torch.ones(1, 1))


@given(seeds, st.sampled_from([0, 0.1, 0.5, 1]), st.sampled_from(["row", "paper_literal"]))
def test_smooth_labels_is_equation_3(seed, epsilon, orientation):
    targets, smoothing = random_targets(seed), random_smoothing(seed)
    smoothed = smooth_labels(targets, smoothing, epsilon=epsilon, orientation=orientation)
    for n in range(6):
        for i in range(5):
            moved = 0.0
            for j in range(5):
                entry = smoothing[j, i] if orientation == "row" else smoothing[i, j]
                moved += entry.item() * targets[n, j].item()
            expected = (1 - epsilon) * targets[n, i].item() + epsilon * moved
            assert smoothed[n, i].item() == pytest.approx(expected, abs=1e-14)


@given(seeds, st.floats(0, 1))
def test_sums_of_rows_stay_and_background_stays(seed, epsilon):
    targets = random_targets(seed)
    smoothed = smooth_labels(targets, random_smoothing(seed), epsilon=epsilon)
    assert_close(smoothed.sum(dim=1), targets.sum(dim=1))
    assert smoothed[-1].tolist() == [0.0] * 5
    assert smoothed.min() >= 0
    assert smoothed.max() <= 1


def test_one_hot_targets_take_the_row_or_the_column_of_their_class():
    smoothing = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.125, 0.75]])
    assert smooth_labels(torch.eye(3), smoothing, epsilon=1).tolist() == smoothing.tolist()
    literal = smooth_labels(torch.eye(3), smoothing, epsilon=1, orientation="paper_literal")
    assert literal.tolist() == smoothing.T.tolist()


def test_defaults_are_those_of_the_paper():
    assert_close(
        smooth_labels(torch.eye(2), uniform_smoothing(2)),
        torch.tensor([[0.95, 0.05], [0.05, 0.95]]),
    )
    similarity, counts = random_similarity(0), torch.tensor([1, 2, 3, 4, 5])
    assert torch.equal(
        similarity_smoothing(similarity, counts),
        similarity_smoothing(similarity, counts, gamma=1.5),
    )


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float, torch.double])
def test_the_type_of_the_targets_stays_and_autocast_changes_nothing(dtype):
    targets = torch.eye(5, dtype=dtype)
    smoothing = random_smoothing(0)
    expected = (0.9 * torch.eye(5).double() + 0.1 * smoothing).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        smoothed = smooth_labels(targets, smoothing)
    assert_close(smoothed, expected)
    assert smoothed.dtype == dtype


def test_no_rows_and_one_row():
    assert smooth_labels(torch.zeros(0, 3), uniform_smoothing(3)).shape == (0, 3)
    assert smooth_labels(torch.tensor([[0.0, 1.0]]), uniform_smoothing(2), epsilon=1).tolist() == [
        [0.5, 0.5]
    ]


def test_bad_targets_smoothings_and_options_are_refused():
    targets, smoothing = torch.eye(2), uniform_smoothing(2)
    for epsilon in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"epsilon must lie in \[0, 1\], got {epsilon}"):
            smooth_labels(targets, smoothing, epsilon=epsilon)
    with pytest.raises(ValueError, match=r"targets must lie in \[0, 1\], got \[0, 1.5\]"):
        smooth_labels(targets * 1.5, smoothing)
    with pytest.raises(ValueError, match="rows of targets must sum to between 0 and 1, got 2"):
        smooth_labels(torch.ones(1, 2), smoothing)
    with pytest.raises(ValueError, match=r"rows of smoothing must sum to 1, got 0.5"):
        smooth_labels(targets, smoothing / 2)
    with pytest.raises(ValueError, match=r"smoothing must lie in \[0, 1\], got \[-1, 2\]"):
        smooth_labels(targets, torch.tensor([[2.0, -1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        smooth_labels(torch.ones(1, 1), torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"smoothing must have shape \(c, c\)"):
        smooth_labels(targets, uniform_smoothing(3))
    unchecked = inspect.unwrap(smooth_labels)  # users run without the checks of the tests
    with pytest.raises(ValueError, match="orientation must be 'row' or 'paper_literal', got 'x'"):
        unchecked(targets, smoothing, orientation="x")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_agrees():
    targets, similarity = random_targets(0).float(), random_similarity(0)
    counts = torch.tensor([1, 0, 7, 3, 100])
    found = similarity_smoothing(similarity.cuda(), counts.cuda(), exclude_unseen=True)
    expected = similarity_smoothing(similarity, counts, exclude_unseen=True)
    assert_close(found.cpu(), expected)
    assert_close(smooth_labels(targets.cuda(), expected).cpu(), smooth_labels(targets, expected))
    confusion = torch.tensor([[3, 1], [0, 4]])
    assert_close(confusion_smoothing(confusion.cuda()).cpu(), confusion_smoothing(confusion))
