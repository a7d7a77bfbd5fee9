"""Tests of pcl_calibration.calibration_error."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_calibration.calibration_error import (
    adaptive_calibration_error,
    classwise_calibration_error,
    expected_calibration_error,
    smooth_calibration_error,
)
from pcl_calibration.calibration_table import ClassCalibrationError

# Confidences that are exact in binary, so that borders of bins are met exactly.
SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 32).map(lambda k: k / 32), st.booleans()),
    min_size=1,
    max_size=40,
)


def table_of(samples) -> ClassCalibrationError:
    table = ClassCalibrationError(3)
    labels, confidence, correct = zip(*samples, strict=True)
    table.update_matches(
        torch.tensor(labels, dtype=torch.int64), torch.tensor(confidence), torch.tensor(correct)
    )
    return table


def random_table(n: int, seed: int = 0) -> tuple[ClassCalibrationError, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    confidence = generator.beta(4, 1.5, n)
    correct = generator.random(n) < confidence**1.5
    table = ClassCalibrationError(1)
    table.update_matches(
        torch.zeros(n, dtype=torch.int64), torch.from_numpy(confidence), torch.from_numpy(correct)
    )
    return table, confidence, correct


def ece(samples, n_bins: int) -> float:
    """The expected calibration error as it is written, bin by bin."""
    total = 0.0
    for b in range(n_bins):
        of_bin = [(c, r) for _, c, r in samples if min(math.floor(c * n_bins), n_bins - 1) == b]
        if of_bin:
            acc = sum(r for _, r in of_bin) / len(of_bin)
            conf = sum(c for c, _ in of_bin) / len(of_bin)
            total += len(of_bin) / len(samples) * abs(acc - conf)
    return total


@given(SAMPLES, st.sampled_from([1, 2, 4, 8, 16]))
def test_the_expected_error_is_its_equation(samples, n_bins):
    assert expected_calibration_error(table_of(samples), n_bins) == pytest.approx(
        ece(samples, n_bins), abs=1e-12
    )


@given(SAMPLES, st.sampled_from([1, 2, 4, 8, 16]))
def test_the_class_wise_error_is_the_expected_one_of_each_class(samples, n_bins):
    found = classwise_calibration_error(table_of(samples), n_bins).tolist()
    for i, value in enumerate(found):
        of_class = [sample for sample in samples if sample[0] == i]
        if of_class:
            assert value == pytest.approx(ece(of_class, n_bins), abs=1e-6)
        else:
            assert math.isnan(value)


@given(SAMPLES)
def test_the_signed_error_is_within_the_class_wise_one(samples):
    table = table_of(samples)
    unsigned = classwise_calibration_error(table).nan_to_num(0.0)
    assert (table.compute().abs() <= unsigned + 1e-6).all()


@given(SAMPLES)
def test_finer_bins_never_lower_the_expected_error(samples):
    table = table_of(samples)
    errors = [expected_calibration_error(table, n_bins) for n_bins in (1, 2, 4, 8, 16)]
    assert all(a <= b + 1e-12 for a, b in zip(errors, errors[1:], strict=False))


@pytest.mark.parametrize("read", [expected_calibration_error, adaptive_calibration_error])
def test_the_bins_of_the_table_are_the_default(read):
    table, _, _ = random_table(50)
    assert read(table) == read(table, 10) != read(table, 20)


@pytest.mark.parametrize("n_bins", [1, 3, 4, 12])
def test_equal_mass_bins_are_those_of_sorted_samples(n_bins):
    generator = np.random.default_rng(0)
    confidence = np.sort(generator.permutation(3600)[:48] + 0.5) / 3600  # a fine bin each
    correct = generator.random(48) < 0.5
    table = ClassCalibrationError(1)
    table.update_matches(
        torch.zeros(48).long(), torch.from_numpy(confidence), torch.from_numpy(correct)
    )
    expected = 0.0
    for of_bin in np.split(np.arange(48), n_bins):
        gap = correct[of_bin].mean() - confidence[of_bin].mean()
        expected += len(of_bin) / 48 * abs(gap)
    assert adaptive_calibration_error(table, n_bins) == pytest.approx(expected, abs=1e-12)


def test_equal_confidences_are_divided_alike_between_bins_of_equal_mass():
    # Four samples of 0.5, three of them right, in three bins: each has the gap 0.25 of them all.
    table = table_of([(0, 0.5, True)] * 3 + [(0, 0.5, False)])
    assert adaptive_calibration_error(table, 3) == pytest.approx(0.25, abs=1e-12)


def smooth_error(confidence: np.ndarray, correct: np.ndarray, deviation: float) -> float:
    """smECE at a deviation: an integral over [0, 1] of sums over samples and reflections."""
    t = (np.arange(4000) + 0.5) / 4000
    residual = np.zeros_like(t)
    for conf, right in zip(confidence, correct, strict=True):
        for reflection in range(-3, 4):
            for image in (2 * reflection + conf, 2 * reflection - conf):
                density = np.exp(-(((t - image) / deviation) ** 2) / 2)
                residual += density / deviation / math.sqrt(2 * math.pi) * (right - conf)
    return float(np.abs(residual / len(confidence)).mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_smooth_error_is_the_deviation_that_gives_itself(seed):
    table, confidence, correct = random_table(60, seed)
    found = smooth_calibration_error(table)
    # Samples are moved by up to 1/7200 to the middle of their fine bin.
    assert smooth_error(confidence, correct, found) == pytest.approx(found, abs=2e-4)


@pytest.mark.parametrize(("confidence", "right"), [(0.0, True), (1.0, False)])
def test_the_smooth_error_of_the_worst_is_one(confidence, right):
    # All residuals have one sign, and the kernel keeps their sum: smECE_s is 1 for every s.
    assert smooth_calibration_error(table_of([(0, confidence, right)] * 5)) == pytest.approx(1.0)


@settings(max_examples=25)
@given(SAMPLES)
def test_the_smooth_error_lies_between_the_error_of_one_bin_and_that_of_all(samples):
    table = table_of(samples)
    found = smooth_calibration_error(table)
    assert expected_calibration_error(table, 1) - 1e-6 <= found
    assert found <= expected_calibration_error(table, 3600) + 1e-6


READINGS = [
    expected_calibration_error,
    adaptive_calibration_error,
    smooth_calibration_error,
    lambda table: float(classwise_calibration_error(table).max()),
]


@pytest.mark.parametrize("read", READINGS)
def test_a_perfect_table_has_no_error_and_an_empty_one_none_to_tell(read):
    assert math.isnan(read(ClassCalibrationError(3)))
    perfect = [(i, conf, bool(conf)) for i in range(3) for conf in (0.0, 1.0)]
    assert read(table_of(perfect)) == pytest.approx(0.0, abs=1e-9)


def test_bins_that_cannot_be_read_are_refused():
    table = ClassCalibrationError(3)
    for read in (expected_calibration_error, classwise_calibration_error):
        with pytest.raises(ValueError, match="n_bins must divide the 3600 fine bins, got 7"):
            read(table, 7)
    with pytest.raises(ValueError, match="n_bins must be at least 1, got 0"):
        adaptive_calibration_error(table, 0)
