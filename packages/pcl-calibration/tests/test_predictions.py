"""Tests of pcl_calibration.predictions."""

import pytest
import torch

from pcl_calibration import predictions
from pcl_calibration.predictions import check_fractions, check_labels, prediction_chunks

ROWS = torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0], [0.0, 1.0], [0.75, 0.25]])


def test_chunks_are_the_labeled_rows_in_order(monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK_ENTRIES", 4)
    labels = torch.tensor([0, -1, 1, 0, 1], dtype=torch.int16)
    chunks = list(prediction_chunks(ROWS, labels))
    assert [len(rows) for rows, _ in chunks] == [1, 2, 1]
    assert torch.equal(torch.cat([rows for rows, _ in chunks]), ROWS[labels != -1])
    assert torch.cat([of_rows for _, of_rows in chunks]).tolist() == [0, 1, 0, 1]


def test_no_rows_are_no_samples():
    assert sum(len(rows) for rows, _ in prediction_chunks(ROWS[:0], torch.zeros(0).long())) == 0


def test_what_an_unlabeled_row_holds_does_not_matter():
    rows = torch.tensor([[float("nan"), 7.0], [0.5, 0.5]])
    ((kept, labels),) = prediction_chunks(rows, torch.tensor([-1, 1]))
    assert kept.tolist() == [[0.5, 0.5]]
    assert labels.tolist() == [1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_softmax_of_any_floating_type_sums_to_one(dtype):
    logits = 3 * torch.randn(64, 1203, generator=torch.Generator().manual_seed(0))
    rows = logits.softmax(dim=1).to(dtype)
    assert len(list(prediction_chunks(rows, torch.zeros(64).long()))) == 1


def test_the_last_chunk_is_checked_before_the_first_is_given(monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK_ENTRIES", 4)
    rows = torch.cat([ROWS, torch.tensor([[0.5, 0.25]])])
    with pytest.raises(ValueError, match=r"probabilities must sum to one in each row, got 0.75"):
        next(prediction_chunks(rows, torch.zeros(6).long()))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1.25, -0.25], r"probabilities must lie in \[0, 1\], got \[-0.25, 1.25\]"),
        ([float("nan"), 1.0], r"probabilities must lie in \[0, 1\], got \[nan, nan\]"),
        ([0.5, 0.25], "probabilities must sum to one in each row, got 0.75"),
        ([0.75, 0.75], "probabilities must sum to one in each row, got 1.5"),
        ([1.0], "probabilities must have at least 2 classes, got 1"),
    ],
)
def test_rows_that_are_no_distributions_are_refused(row, message):
    with pytest.raises(ValueError, match=message):
        next(prediction_chunks(torch.tensor([row]), torch.tensor([0])))


@pytest.mark.parametrize("label", [-2, 2])
def test_a_label_that_is_no_class_is_refused(label):
    message = rf"labels must lie in \[0, 2\) or be -1 \(ignored\), got \[{label}, {label}\]"
    with pytest.raises(ValueError, match=message):
        next(prediction_chunks(ROWS[:1], torch.tensor([label])))
    with pytest.raises(ValueError, match="given must lie in"):
        check_labels(2, given=torch.tensor([label]))


@pytest.mark.parametrize("value", [-1e-6, 1.001, float("nan"), float("inf")])
def test_a_fraction_outside_of_zero_to_one_is_refused(value):
    with pytest.raises(ValueError, match=r"given must lie in \[0, 1\], got"):
        check_fractions(given=torch.tensor([0.5, value]))


def test_rounding_above_one_is_not_refused():
    check_fractions(given=torch.tensor([1.0]) * (1 + 2e-7))
    check_fractions(given=torch.zeros(0))
