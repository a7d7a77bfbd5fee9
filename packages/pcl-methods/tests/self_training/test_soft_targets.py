"""Tests of pcl_methods.self_training.soft_targets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_methods.self_training.soft_targets import (
    SUPPORT,
    ClassFacts,
    TargetOptions,
    make_targets,
)

KINDS = ("one-hot", "soft", "corrected", "aligned", "adjusted", "freematch")
FACTS = ClassFacts(torch.tensor([0.5, 0.25, 0.25, 0.0]), torch.tensor([-0.2, 0.1, 0.0, 0.0]))
ROWS = torch.tensor([[0.7, 0.2, 0.09, 0.01], [0.25, 0.3, 0.25, 0.2], [0.0, 0.0, 0.0, 1.0]])


def made(kind, **options):
    return make_targets(TargetOptions(kind, **options), FACTS)


def test_soft_targets_are_what_the_teacher_says():
    found = made("soft")(ROWS)
    assert torch.equal(found.probabilities, ROWS)
    assert found.trusted.all()


def test_one_hot_targets_are_trusted_above_the_threshold():
    found = made("one-hot", threshold=0.7)(ROWS)
    assert found.probabilities.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert found.trusted.tolist() == [False, False, True]


def test_corrected_targets_are_equation_5_where_a_class_is_supported():
    found = made("corrected", strength=2.0)(ROWS).probabilities
    for row, wanted in zip(ROWS.tolist(), found.tolist(), strict=True):
        shifted = [
            max(0.0, p + 2 * float(e)) if p > SUPPORT else p
            for p, e in zip(row, FACTS.errors, strict=True)
        ]
        assert wanted == pytest.approx([p / sum(shifted) for p in shifted])


def test_aligned_targets_have_the_frequencies_of_labeled_voxels_on_average():
    aligned = made("aligned", momentum=0.5)
    first = aligned(ROWS)
    mean = ROWS.mean(dim=0)
    assert_close(aligned.mean, mean)  # of the first step, not of zeros
    scaled = ROWS * FACTS.frequencies / mean
    assert_close(first.probabilities[:2], scaled[:2] / scaled[:2].sum(dim=1, keepdim=True))
    assert torch.equal(first.probabilities[2], ROWS[2])  # nothing of a known class: as it came
    aligned(ROWS[:1])
    assert_close(aligned.mean, (mean + ROWS[0]) / 2)


def test_a_teacher_that_is_aligned_already_stays():
    aligned = make_targets(TargetOptions("aligned"), FACTS._replace(frequencies=ROWS.mean(dim=0)))
    assert_close(aligned(ROWS).probabilities, ROWS)


def test_adjusted_targets_are_divided_by_the_frequencies():
    found = made("adjusted")(ROWS).probabilities
    scaled = ROWS / torch.tensor([0.5, 0.25, 0.25, 1.0])  # an unseen class is not adjusted
    assert_close(found, scaled / scaled.sum(dim=1, keepdim=True))


def test_thresholds_of_freematch_follow_the_training():
    match = made("freematch", momentum=0.5)
    threshold, mean = 0.25, torch.full((4,), 0.25)
    unsure = torch.tensor([[0.9, 0.1, 0, 0], [0.9, 0.1, 0, 0], [0.4, 0.3, 0.2, 0.1]])
    for rows in (ROWS, ROWS[:2], unsure):
        found = match(rows)
        threshold = 0.5 * threshold + 0.5 * float(rows.amax(dim=1).mean())
        mean = 0.5 * mean + 0.5 * rows.mean(dim=0)
        of_class = threshold * mean / mean.max()
        confidence, labels = rows.max(dim=1)
        assert torch.equal(found.trusted, confidence > of_class[labels])
        assert torch.equal(found.probabilities.argmax(dim=1), labels)
    assert float(match.threshold) == pytest.approx(threshold)
    assert found.trusted.tolist() == [True, True, False]


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**31), n=st.integers(0, 6))
def test_targets_are_distributions(kind, seed, n):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, 4, generator=generator).mul(3).softmax(dim=1)
    targets = made(kind)
    for _ in range(2):
        found = targets(rows)
        assert found.trusted.shape == (n,)
        assert (found.probabilities >= 0).all()
        assert_close(found.probabilities.sum(dim=1), torch.ones(n))


@pytest.mark.parametrize("kind", ["aligned", "freematch"])
def test_what_is_kept_is_in_checkpoints(kind):
    targets, again = made(kind), made(kind)
    targets(ROWS)
    again.load_state_dict(targets.state_dict())
    for one, other in zip(targets(ROWS), again(ROWS), strict=True):
        assert torch.equal(one, other)
