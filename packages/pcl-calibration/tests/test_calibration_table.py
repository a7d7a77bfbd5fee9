"""Tests of pcl_calibration.calibration_table."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_calibration import predictions
from pcl_calibration.calibration_table import ClassCalibrationError

# Confidences that are exact in binary, so that borders of bins are met exactly.
SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 32).map(lambda k: k / 32), st.booleans()),
    max_size=40,
)


def table_of(samples, n_bins=10, **options) -> ClassCalibrationError:
    table = ClassCalibrationError(3, n_bins, **options)
    labels, confidence, correct = zip(*samples, strict=True) if samples else ((), (), ())
    table.update_matches(
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(confidence, dtype=torch.float32),
        torch.tensor(correct, dtype=torch.bool),
    )
    return table


def predictions_of(n: int, n_classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    probabilities = (3 * torch.randn(n, n_classes, generator=generator)).softmax(dim=1)
    return probabilities, torch.randint(-1, n_classes, (n,), generator=generator)


def equal(one: ClassCalibrationError, other: ClassCalibrationError) -> bool:
    """Sums of confidences may be added in another order."""
    return (
        torch.equal(one.counts, other.counts)
        and torch.equal(one.correct, other.correct)
        and torch.allclose(one.confidences, other.confidences, rtol=1e-12)
    )


def equation_4(samples, n_classes: int, n_bins: int) -> list[float]:
    """Eq. 4 as it is written, sample by sample."""
    errors = []
    for i in range(n_classes):
        of_class = [(conf, right) for label, conf, right in samples if label == i]
        total = 0.0
        for b in range(n_bins):
            is_last = b == n_bins - 1
            of_bin = [
                (conf, right)
                for conf, right in of_class
                if b / n_bins <= conf < (b + 1) / n_bins or (is_last and conf == 1)
            ]
            if of_bin:
                acc = sum(right for _, right in of_bin) / len(of_bin)
                conf = sum(conf for conf, _ in of_bin) / len(of_bin)
                total += len(of_bin) / len(of_class) * (acc - conf)
        errors.append(total)
    return errors


@given(SAMPLES, st.sampled_from([1, 2, 4, 8, 10, 16]))
def test_it_is_equation_4(samples, n_bins):
    found = table_of(samples, n_bins).compute()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(equation_4(samples, 3, n_bins)))


@given(SAMPLES, st.sampled_from([1, 2, 4, 8, 16]))
def test_bins_are_those_of_a_loop_over_samples(samples, n_bins):
    bins = table_of(samples).bins(n_bins)
    counts, correct, confidences = (torch.zeros(3, n_bins).double() for _ in range(3))
    for label, conf, right in samples:
        b = min(math.floor(conf * n_bins), n_bins - 1)
        counts[label, b] += 1
        correct[label, b] += right
        confidences[label, b] += conf
    assert torch.equal(bins.counts, counts.long())
    assert torch.equal(bins.correct, correct)
    assert torch.equal(bins.confidences, confidences)
    assert torch.equal(bins.pooled().correct, correct.sum(dim=0, keepdim=True))


@pytest.mark.parametrize("n_fine_bins", [10, 3600])
def test_a_row_is_a_sample_of_its_likeliest_class(monkeypatch, n_fine_bins):
    monkeypatch.setattr(predictions, "CHUNK_ENTRIES", 70)
    probabilities, labels = predictions_of(200, 7)
    table = ClassCalibrationError(7, n_fine_bins=n_fine_bins)
    table.update(probabilities, labels)
    counts, correct, confidences = (torch.zeros(7, n_fine_bins).double() for _ in range(3))
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        if label != -1:
            predicted = max(range(7), key=lambda k, row=row: row[k])
            fine = min(math.floor(row[predicted] * n_fine_bins), n_fine_bins - 1)
            counts[predicted, fine] += 1
            correct[predicted, fine] += predicted == label
            confidences[predicted, fine] += row[predicted]
    assert torch.equal(table.counts, counts.long())
    assert torch.equal(table.correct, correct)
    torch.testing.assert_close(table.confidences, confidences, rtol=1e-12, atol=0)


def test_the_first_of_equally_likely_classes_is_predicted():
    table = ClassCalibrationError(3)
    table.update(torch.tensor([[0.0, 0.5, 0.5]]), torch.tensor([1]))
    assert table.counts.sum(dim=1).tolist() == [0, 1, 0]
    assert table.correct.sum() == 1


def test_every_probability_may_be_a_sample_of_its_class():
    probabilities, labels = predictions_of(30, 4)
    table, of_one = ClassCalibrationError(4), ClassCalibrationError(4)
    table.update_every_class(probabilities, labels)
    kept = labels != -1
    for k in range(4):
        classes = torch.full((int(kept.sum()),), k)
        of_one.update_matches(classes, probabilities[kept, k].contiguous(), labels[kept] == k)
    assert equal(table, of_one)


def test_a_confidence_of_one_belongs_to_the_last_bin():
    bins = table_of([(0, 1.0, True), (0, 0.90625, False)]).bins()
    assert bins.counts[0].tolist() == [0] * 9 + [2]


def test_a_decimal_border_belongs_to_the_bin_above():
    confidence = torch.arange(10, dtype=torch.float64) / 10
    table = ClassCalibrationError(1)
    table.update_matches(torch.zeros(10).long(), confidence, confidence > 0)
    assert table.bins().counts[0].tolist() == [1] * 10


@given(SAMPLES, SAMPLES)
def test_merged_tables_are_the_table_of_all_samples(one, other):
    merged = table_of(one).merge(table_of(other))
    assert equal(merged, table_of(one + other))
    assert equal(table_of(other).merge(table_of(one)), merged)


@given(SAMPLES)
def test_the_order_of_samples_does_not_matter(samples):
    assert equal(table_of(samples), table_of(samples[::-1]))


def test_batches_add_up_to_one():
    probabilities, labels = predictions_of(100, 5)
    whole, parts = ClassCalibrationError(5), ClassCalibrationError(5)
    whole.update(probabilities, labels)
    for rows, of_rows in zip(probabilities.split(7), labels.split(7), strict=True):
        parts.update(rows, of_rows)
    assert equal(whole, parts)


def test_memory_does_not_grow_with_samples():
    table = ClassCalibrationError(5)
    before = {name: value.nbytes for name, value in table.state_dict().items()}
    for seed in range(3):
        table.update(*predictions_of(500, 5, seed))
    assert {name: value.nbytes for name, value in table.state_dict().items()} == before
    assert sum(before.values()) == 5 * 3600 * 24 + 8


def test_half_precision_counts_as_the_same_numbers_in_single():
    probabilities, labels = predictions_of(100, 5)
    half, single = ClassCalibrationError(5), ClassCalibrationError(5)
    half.update(probabilities.half(), labels)
    rounded = probabilities.half().float()
    single.update(rounded, labels)
    assert equal(half, single)


def test_gradients_are_not_kept():
    probabilities, labels = predictions_of(10, 5)
    table = ClassCalibrationError(5)
    table.update(probabilities.requires_grad_(), labels)
    assert not table.confidences.requires_grad


def test_a_class_without_samples_has_no_error():
    assert ClassCalibrationError(2).compute().tolist() == [0.0, 0.0]
    assert ClassCalibrationError(2).compute(shrinkage=10).tolist() == [0.0, 0.0]


def test_shrinkage_draws_rare_classes_to_zero():
    # Class 0 has one sample, class 1 three: 1/(1 + 1) and 3/(3 + 1) of their errors are left.
    table = table_of([(0, 0.5, True), *[(1, 0.5, False)] * 3])
    assert table.compute(shrinkage=1).tolist() == [0.25, -0.375, 0.0]


def test_labels_of_minus_one_are_skipped_among_matches():
    labels, confidence = torch.tensor([-1, 0], dtype=torch.int32), torch.tensor([0.25, 0.5])
    table = ClassCalibrationError(1)
    table.update_matches(labels, confidence, torch.tensor([True, True]))
    assert table.compute().tolist() == [0.5]


def test_overlaps_count_in_place_of_right_or_wrong():
    table = ClassCalibrationError(1)
    iou = torch.tensor([0.75, 0.0])
    table.update_overlaps(torch.tensor([0, 0]), torch.tensor([0.5, 0.5]), iou)
    assert table.bins().correct.sum() == 0.75
    assert table.compute().tolist() == [-0.125]


@pytest.mark.parametrize("update", ["update", "update_every_class"])
def test_a_batch_that_is_refused_adds_nothing(monkeypatch, update):
    monkeypatch.setattr(predictions, "CHUNK_ENTRIES", 4)
    table = ClassCalibrationError(2)
    rows = torch.tensor([[0.5, 0.5]] * 5 + [[0.5, 0.75]])
    with pytest.raises(ValueError, match="probabilities must sum to one"):
        getattr(table, update)(rows, torch.zeros(6).long())
    assert table.counts.sum() == 0
    table.update(rows[:0], torch.zeros(0).long())
    assert table.counts.sum() == 0


@pytest.mark.parametrize("update", ["update", "update_every_class"])
def test_other_classes_and_lengths_are_refused(update):
    call = getattr(ClassCalibrationError(3), update)
    with pytest.raises(ValueError, match=r"probabilities must have shape \(n, 3\), got \(1, 2\)"):
        call(torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"labels must have shape \(n,\) with n = 1"):
        call(torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="labels must be of signed integers"):
        call(torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([0.0]))


def test_one_class_has_matches_but_no_probabilities():
    with pytest.raises(ValueError, match="probabilities must have at least 2 classes, got 1"):
        ClassCalibrationError(1).update(torch.ones(1, 1), torch.tensor([0]))


@pytest.mark.parametrize(
    ("labels", "confidence", "message"),
    [
        (3, 0.5, r"labels_predicted must lie in \[0, 3\) or be -1 \(ignored\), got \[0, 3\]"),
        (-2, 0.5, r"labels_predicted must lie in \[0, 3\) or be -1 \(ignored\), got \[-2, 0\]"),
        (0, 1.5, r"confidence must lie in \[0, 1\], got \[0.5, 1.5\]"),
        (0, float("nan"), r"confidence must lie in \[0, 1\], got \[nan, nan\]"),
    ],
)
def test_matches_that_are_none_are_refused(labels, confidence, message):
    table = ClassCalibrationError(3)
    with pytest.raises(ValueError, match=message):
        table.update_matches(
            torch.tensor([0, labels]),
            torch.tensor([0.5, confidence]),
            torch.tensor([True, True]),
        )
    assert table.counts.sum() == 0


def test_overlaps_outside_of_zero_to_one_are_refused():
    with pytest.raises(ValueError, match=r"iou must lie in \[0, 1\], got \[1.5, 1.5\]"):
        ClassCalibrationError(1).update_overlaps(
            torch.tensor([0]), torch.tensor([0.5]), torch.tensor([1.5])
        )


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        ClassCalibrationError(0)
    for n_bins in (0, 7, -10, 7200):
        message = f"n_bins must divide the 3600 fine bins, got {n_bins}"
        with pytest.raises(ValueError, match=message):
            ClassCalibrationError(2, n_bins)
        with pytest.raises(ValueError, match=message):
            ClassCalibrationError(2).bins(n_bins)
    for shrinkage in (-1, float("nan")):
        with pytest.raises(ValueError, match=f"shrinkage must be at least 0, got {shrinkage}"):
            ClassCalibrationError(2).compute(shrinkage=shrinkage)


def test_other_fine_bins_may_be_chosen():
    assert ClassCalibrationError(2, 7, n_fine_bins=70).bins().counts.shape == (2, 7)
