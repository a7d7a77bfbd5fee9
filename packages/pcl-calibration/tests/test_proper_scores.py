"""Tests of pcl_calibration.proper_scores."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_calibration import predictions
from pcl_calibration.proper_scores import (
    BrierScore,
    NegativeLogLikelihood,
    brier_score,
    negative_log_likelihood,
)

SCORES = [NegativeLogLikelihood, BrierScore]


def predictions_of(n: int, n_classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    logits = 3 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return logits.softmax(dim=1), torch.randint(-1, n_classes, (n,), generator=generator)


def loop(probabilities, labels, kind) -> list[list[float]]:
    """The scores of the samples of each class, as they are written."""
    scores = [[] for _ in range(probabilities.shape[1])]
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        if label == -1:
            continue
        if kind is NegativeLogLikelihood:
            scores[label].append(-math.log(row[label]))
        else:
            scores[label].append(sum((p - (k == label)) ** 2 for k, p in enumerate(row)))
    return scores


@pytest.mark.parametrize("kind", SCORES)
def test_batches_and_parts_give_the_mean_of_a_loop(kind, monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK_ENTRIES", 20)
    probabilities, labels = predictions_of(60)
    score, other = kind(5), kind(5)
    for rows, of_rows in zip(probabilities[:40].split(13), labels[:40].split(13), strict=True):
        score.update(rows, of_rows)
    other.update(probabilities[40:], labels[40:])
    score.merge(other)
    expected = loop(probabilities, labels, kind)
    flat = sum(expected, [])
    assert score.compute() == pytest.approx(sum(flat) / len(flat), rel=1e-12)
    means = torch.tensor([sum(of_class) / len(of_class) for of_class in expected])
    torch.testing.assert_close(score.per_class(), means)


@pytest.mark.parametrize(
    ("function", "kind"), [(negative_log_likelihood, SCORES[0]), (brier_score, SCORES[1])]
)
def test_the_functions_are_the_scores_of_one_batch(function, kind):
    probabilities, labels = predictions_of(20)
    score = kind(5)
    score.update(probabilities, labels)
    assert function(probabilities, labels) == score.compute()


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_true_probabilities_score_best(true, told):
    def expected(function, p):
        rows = torch.tensor([[1 - p, p]], dtype=torch.float64)
        of_label = [function(rows, torch.tensor([label])) for label in (0, 1)]
        return (1 - true) * of_label[0] + true * of_label[1]

    for function in (negative_log_likelihood, brier_score):
        assert expected(function, true) <= expected(function, told) + 1e-12


def test_values_by_hand():
    # -log(1/4); (1/4)^2 + (1/4)^2 + (1/2)^2 of the other classes with (3/4)^2 of the true one.
    rows, label = torch.tensor([[0.25, 0.25, 0.5]]), torch.tensor([0])
    assert negative_log_likelihood(rows, label) == math.log(4)
    assert brier_score(rows, label) == 0.5625 + 0.0625 + 0.25
    assert brier_score(torch.tensor([[1.0, 0.0]]), torch.tensor([1])) == 2.0


def test_a_probability_of_zero_is_infinitely_wrong_unless_bounded():
    rows, label = torch.tensor([[1.0, 0.0]]), torch.tensor([1])
    assert negative_log_likelihood(rows, label) == math.inf
    assert negative_log_likelihood(rows, label, floor=0.25) == math.log(4)
    assert negative_log_likelihood(rows, torch.tensor([0]), floor=0.25) == 0.0


def test_rounding_above_one_does_not_make_a_likelihood_negative():
    rows = torch.tensor([[1 + 2e-7, 0.0]])
    assert negative_log_likelihood(rows, torch.tensor([0])) == 0.0


@pytest.mark.parametrize("kind", SCORES)
def test_nothing_has_no_score_and_the_input_stays(kind):
    score = kind(2)
    score.update(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))
    assert math.isnan(score.compute())
    rows = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    score.update(rows, torch.tensor([0]))
    assert rows.tolist() == [[1.0, 0.0]]
    assert score.per_class().tolist()[0] == 0.0
    assert math.isnan(score.per_class().tolist()[1])


@pytest.mark.parametrize("kind", SCORES)
def test_a_batch_that_is_refused_adds_nothing(kind):
    score = kind(2)
    for rows, labels, message in (
        ([[0.5, 0.25]], [0], "probabilities must sum to one in each row, got 0.75"),
        ([[0.5, 0.5]], [2], r"labels must lie in \[0, 2\) or be -1"),
        ([[0.5, 0.5, 0.0]], [0], r"probabilities must have shape \(n, 2\), got \(1, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            score.update(torch.tensor(rows), torch.tensor(labels))
    assert score.counts.sum() == 0


def test_settings_out_of_range_are_refused():
    for kind in SCORES:
        with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
            kind(1)
    for floor in (-0.5, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"floor must lie in \[0, 1\), got"):
            NegativeLogLikelihood(2, floor=floor)
