"""Scores against a slow loop written from the published rules of LVIS."""

import math

import numpy as np
import pytest

from pcl_methods.image_instances.lvis_format import (
    LvisAnnotation,
    LvisCategory,
    LvisData,
    LvisImage,
)
from pcl_methods.image_instances.masks import encode_mask
from pcl_methods.image_instances.scoring import (
    MOST_DETECTIONS,
    Detection,
    most_confident,
    score_instances,
)

SIDE = 24


def box(x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def annotation(number: int, image: int, category: int, mask: np.ndarray) -> LvisAnnotation:
    area = float(mask.sum())
    return LvisAnnotation(number, image, category, encode_mask(mask), area, (0.0, 0.0, 1.0, 1.0))


def published_ap(truth, masks, found):
    """Precision of each class at ten IoUs and 101 recalls, one detection after the other.

    Args:
        truth: annotations.
        masks: of each annotation, by id.
        found: (image, class, score, mask), at most 300 an image.
    """
    values = {}
    for category in (one.id for one in truth.categories):
        of_class = [one for one in truth.annotations if one.category_id == category]
        if not of_class:
            continue
        for threshold in np.linspace(0.5, 0.95, 10):
            rows = []  # score, right, ignored
            for image in truth.images:
                objects = [one for one in of_class if one.image_id == image.id]
                if not objects and category not in image.neg_category_ids:
                    continue  # not verified
                free = list(objects)
                those = [one for one in found if one[0] == image.id and one[1] == category]
                for _, _, score, mask in sorted(those, key=lambda one: -one[2]):
                    best, taken = threshold, None
                    for one in free:
                        other = masks[one.id]
                        iou = (mask & other).sum() / (mask | other).sum()
                        if iou >= best:
                            best, taken = iou, one
                    if taken is not None:
                        free.remove(taken)
                    missed = taken is None and category in image.not_exhaustive_category_ids
                    rows.append((score, taken is not None, missed))
            rows = [row for row in sorted(rows, key=lambda row: -row[0]) if not row[2]]
            right = np.cumsum([row[1] for row in rows])
            precision = [n / (i + 1) for i, n in enumerate(right)]
            recall = [n / len(of_class) for n in right]
            values[category, threshold] = np.mean(
                [
                    max((p for p, r in zip(precision, recall, strict=True) if r >= at), default=0)
                    for at in np.linspace(0, 1, 101)
                ]
            )
    return values


def random_world(seed):
    """Images with boxes, all three kinds of knowledge, and detections of mixed quality."""
    rng = np.random.default_rng(seed)
    frequencies = "rrccff"
    categories = tuple(
        LvisCategory(3 * k + 1, f"class {k}", frequencies[k]) for k in range(len(frequencies))
    )
    ids = [one.id for one in categories]
    images, annotations, masks, found = [], [], {}, []
    for number in range(8):
        present = rng.choice(ids, 3)
        absent = sorted(set(ids) - set(present.tolist()))
        for category in present.tolist():
            x, y = rng.integers(0, 12, 2)
            mask = box(int(x), int(y), *(int(n) for n in rng.integers(4, 12, 2)))
            annotations.append(annotation(len(annotations) + 1, number, category, mask))
            masks[len(annotations)] = mask
            if rng.random() < 0.8:
                moved = np.roll(mask, rng.integers(0, 3, 2), axis=(0, 1))
                found.append((number, category, float(rng.random()), moved))
        for _ in range(6):
            x, y = rng.integers(0, 12, 2)
            guess = (number, int(rng.choice(ids)), float(rng.random()))
            found.append((*guess, box(int(x), int(y), 8, 8)))
        negative = tuple(absent[:1])
        images.append(LvisImage(number, "", SIDE, SIDE, negative, (int(present[0]),)))
    return LvisData(tuple(images), categories, tuple(annotations)), masks, found


def detections_of(found):
    return [Detection(*one[:3], encode_mask(one[3])) for one in found]


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_the_published_rules(seed):
    truth, masks, found = random_world(seed)
    scores = score_instances(truth, detections_of(found))
    values = published_ap(truth, masks, found)
    kinds = {one.id: one.frequency for one in truth.categories}
    assert scores.ap == pytest.approx(np.mean(list(values.values())), abs=1e-9)
    for kind, score in zip("rcf", scores[1:4], strict=True):
        of_kind = [value for (category, _), value in values.items() if kinds[category] == kind]
        assert score == pytest.approx(np.mean(of_kind), abs=1e-9)
    half = [value for (_, threshold), value in values.items() if threshold == 0.5]
    assert scores.ap50 == pytest.approx(np.mean(half), abs=1e-9)


def two_images(**of_second):
    """A box of class 1 in the first image; the second one has none."""
    categories = (LvisCategory(1, "cup", "r"), LvisCategory(2, "pan", "f"))
    images = (LvisImage(1, "", SIDE, SIDE), LvisImage(2, "", SIDE, SIDE, **of_second))
    return LvisData(images, categories, (annotation(1, 1, 1, box(2, 2, 8, 8)),))


@pytest.mark.parametrize(
    ("of_second", "expected"),
    [({}, 1.0), ({"neg_category_ids": (1,)}, 0.5)],
)
def test_only_a_verified_class_counts_as_wrong(of_second, expected):
    found = [(2, 1, 0.9, box(0, 0, 4, 4)), (1, 1, 0.5, box(2, 2, 8, 8))]
    scores = score_instances(two_images(**of_second), detections_of(found))
    assert scores.ap == pytest.approx(expected)
    assert scores.ap_r == pytest.approx(expected)
    assert math.isnan(scores.ap_c)
    assert math.isnan(scores.ap_f)  # the pan has no object


def test_no_detection_scores_zero():
    assert score_instances(two_images(), []).ap == 0


def test_nothing_to_find_has_no_score():
    assert math.isnan(score_instances(LvisData((), (), ()), []).ap)


def test_an_image_has_300_detections_of_all_classes_together():
    pans = [(1, 2, 0.9, box(0, 0, 2, 2))] * MOST_DETECTIONS
    cup = [(1, 1, 0.5, box(2, 2, 8, 8))]
    assert score_instances(two_images(), detections_of(pans[1:] + cup)).ap == pytest.approx(1)
    assert score_instances(two_images(), detections_of(pans + cup)).ap == 0


def test_the_first_of_equal_scores_is_kept():
    rows = [Detection(1, category, 0.5, {}) for category in (1, 2, 3)]
    assert [one.category_id for one in most_confident(rows, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((3, 1, 0.5), r"detections\[0\] must be of an image and a class .* got \(3, 1\)"),
        ((1, 5, 0.5), r"detections\[0\] must be of an image and a class .* got \(1, 5\)"),
        ((1, 1, math.nan), r"detections\[0\].score must be finite, got nan"),
    ],
)
def test_detections_of_nothing_are_refused(found, message):
    with pytest.raises(ValueError, match=message):
        score_instances(two_images(), [Detection(*found, {})])
