"""Tests of pcl_calibration.detection_matching."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_calibration.calibration_table import ClassCalibrationError
from pcl_calibration.detection_matching import (
    localization_calibration_error,
    match_detections,
)


@st.composite
def images(draw):
    """IoU, classes, scores and true classes of an image; values repeat, so that ties occur."""
    n, m = draw(st.integers(0, 7)), draw(st.integers(0, 5))
    eighths = st.integers(0, 8).map(lambda k: k / 8)
    iou = torch.tensor(draw(st.lists(eighths, min_size=n * m, max_size=n * m))).reshape(n, m)
    labels_predicted = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    confidence = torch.tensor(draw(st.lists(eighths, min_size=n, max_size=n)))
    labels = draw(st.lists(st.integers(-1, 2), min_size=m, max_size=m))
    return iou, torch.tensor(labels_predicted).long(), confidence, torch.tensor(labels).long()


def loop(iou, labels_predicted, confidence, labels, threshold, negative, not_exhaustive):
    """The rules, one detection after the other."""
    n, m = iou.shape
    matched, taken, kept = [0.0] * n, set(), [True] * n
    for d in sorted(range(n), key=lambda d: -float(confidence[d])):
        best = None
        for g in range(m):
            if g in taken or labels[g] != labels_predicted[d] or iou[d, g] < threshold:
                continue
            if best is None or iou[d, g] > iou[d, best]:
                best = g
        if best is not None:
            taken.add(best)
            matched[d] = float(iou[d, best])
            continue
        label = int(labels_predicted[d])
        in_ignored = any(labels[g] == -1 and iou[d, g] >= threshold for g in range(m))
        verified = negative is None or label in negative or label in labels.tolist()
        kept[d] = verified and label not in (not_exhaustive or []) and not in_ignored
    return matched, kept


@given(images(), st.sampled_from([0.25, 0.5, 1.0]), st.sampled_from([None, (), (3,), (0, 3)]))
def test_it_is_the_loop_over_detections(image, threshold, negative):
    not_exhaustive = None if negative is None else (1,)
    found = match_detections(
        *image,
        threshold=threshold,
        negative_classes=None if negative is None else torch.tensor(negative).long(),
        not_exhaustive_classes=None if negative is None else torch.tensor([1]),
    )
    matched, kept = loop(*image, threshold, negative, not_exhaustive)
    assert found.iou.tolist() == matched
    assert found.correct.tolist() == [value > 0 for value in matched]
    assert found.kept.tolist() == kept


@given(images())
def test_an_object_is_found_at_most_once(image):
    found = match_detections(*image)
    _, labels_predicted, _, labels = image
    for i in range(4):
        assert found.correct[labels_predicted == i].sum() <= (labels == i).sum()


def match(iou, labels_predicted, confidence, labels, **options):
    return match_detections(
        torch.tensor(iou),
        torch.tensor(labels_predicted),
        torch.tensor(confidence),
        torch.tensor(labels),
        **options,
    )


def test_the_higher_score_takes_the_object_though_it_overlaps_less():
    found = match([[0.875], [0.5]], [0, 0], [0.25, 0.75], [0])
    assert found.correct.tolist() == [False, True]
    assert found.iou.tolist() == [0.0, 0.5]
    assert found.kept.tolist() == [True, True]


def test_equal_scores_come_in_the_order_given():
    # So many that an unstable sort would swap them.
    confidence = torch.tensor([0.25, 0.5, 0.5]).repeat(100)
    labels_predicted = torch.zeros(300, dtype=torch.int64)
    found = match_detections(
        torch.full((300, 1), 0.75), labels_predicted, confidence, torch.tensor([0])
    )
    assert found.correct.nonzero().flatten().tolist() == [1]


def test_a_detection_takes_a_free_object_where_the_best_is_taken():
    found = match([[0.875, 0.0], [0.75, 0.625]], [0, 0], [0.75, 0.25], [0, 0])
    assert found.iou.tolist() == [0.875, 0.625]


def test_an_object_of_another_class_is_not_taken():
    assert match([[1.0]], [1], [0.5], [0]).correct.tolist() == [False]


def test_without_federated_annotation_every_detection_is_kept():
    assert match([[0.0]], [5], [0.5], [0]).kept.tolist() == [True]


def test_the_objects_of_an_image_verify_their_classes():
    # LVIS: class 0 is there, class 1 is known to be absent, of class 2 nothing is known.
    found = match([[0.0]] * 3, [0, 1, 2], [0.5] * 3, [0], negative_classes=torch.tensor([1]))
    assert found.kept.tolist() == [True, True, False]


def test_a_match_of_a_class_that_is_not_exhaustive_counts_but_a_miss_does_not():
    found = match(
        [[1.0], [0.0]], [0, 0], [0.5, 0.75], [0], not_exhaustive_classes=torch.tensor([0])
    )
    assert found.correct.tolist() == [True, False]
    assert found.kept.tolist() == [True, False]


def test_types_of_inputs_may_differ():
    found = match_detections(
        torch.tensor([[0.75]], dtype=torch.float16),
        torch.tensor([1], dtype=torch.int32),
        torch.tensor([0.5], dtype=torch.float64),
        torch.tensor([1]),
        negative_classes=torch.tensor([2], dtype=torch.int16),
    )
    assert found.iou.dtype == torch.float16
    assert found.correct.tolist() == [True]


@pytest.mark.parametrize("threshold", [0.0, 1.25, float("nan")])
def test_a_threshold_that_matches_nothing_or_everything_is_refused(threshold):
    with pytest.raises(ValueError, match=r"threshold must lie in \(0, 1\], got"):
        match([[0.5]], [0], [0.5], [0], threshold=threshold)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"iou": [[1.5]]}, r"iou must lie in \[0, 1\], got \[1.5, 1.5\]"),
        ({"confidence": [float("nan")]}, r"confidence must lie in \[0, 1\], got \[nan, nan\]"),
        ({"labels_predicted": [-1]}, "labels_predicted must be at least 0, got -1"),
        ({"labels": [-2]}, "labels must be at least -1, got -2"),
        ({"labels": [0, 1]}, r"labels must have shape \(m,\) with m = 1"),
    ],
)
def test_what_is_no_matching_is_refused(changed, message):
    inputs = {"iou": [[0.5]], "labels_predicted": [0], "confidence": [0.5], "labels": [0]}
    with pytest.raises(ValueError, match=message):
        match(**(inputs | changed))


@given(images())
def test_the_localization_aware_error_is_its_equation(image):
    _, labels_predicted, confidence, _ = image
    found = match_detections(*image)
    table = ClassCalibrationError(4)
    table.update_overlaps(labels_predicted, confidence, found.iou)
    of_classes = []
    for i in range(4):
        of_class = labels_predicted == i
        total = 0.0
        for b in range(25):
            of_bin = of_class & ((confidence * 25).floor().clamp(max=24) == b)
            if of_bin.any():
                matched = of_bin & found.correct
                precision = float(matched.sum() / of_bin.sum())
                overlap = float(found.iou[matched].mean()) if matched.any() else 0.0
                gap = float(confidence[of_bin].mean()) - precision * overlap
                total += float(of_bin.sum() / of_class.sum()) * abs(gap)
        if of_class.any():
            of_classes.append(total)
    found_error = localization_calibration_error(table)
    if of_classes:
        assert found_error == pytest.approx(sum(of_classes) / len(of_classes), abs=1e-6)
    else:
        assert math.isnan(found_error)


def test_the_localization_aware_error_has_25_bins():
    # 1/4 and 9/32 lie in one of ten bins, where their gaps of +1/4 and -9/32 would nearly cancel.
    table = ClassCalibrationError(1)
    table.update_overlaps(
        torch.tensor([0, 0]), torch.tensor([0.25, 0.28125]), torch.tensor([0.5, 0.0])
    )
    assert localization_calibration_error(table) == (0.25 + 0.28125) / 2
    assert localization_calibration_error(table, 10) == 0.28125 / 2 - 0.25 / 2
