"""Tests of pcl_methods.detection.found_boxes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation.box_overlap import box_iou
from pcl_methods.detection.found_boxes import boxes_of_each_class, boxes_with_every_class

CUBE = np.array([0.0, 0, 0, 1, 1, 1, 0])
NEAR, FAR = (CUBE + x * np.eye(7)[0] for x in (0.1, 5))


def test_of_a_class_the_more_certain_box_stays():
    probabilities = np.array([[0.6, 0.005], [0.9, 0.3], [0.2, 0.4]])
    found = boxes_of_each_class(np.stack([CUBE, NEAR, FAR]), probabilities, (3, 7))
    told = [(box[0], box[7], score) for box, score in zip(found.boxes, found.scores, strict=True)]
    assert told == [(0.1, 3, 0.9), (5, 7, 0.4), (0.1, 7, 0.3), (5, 3, 0.2)]
    assert len(found.above(0.4).scores) == 2


@given(st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_no_two_boxes_of_a_class_overlap(k, seed):
    rng = np.random.default_rng(seed)
    boxes = np.tile(CUBE, (k, 1)) + np.c_[rng.uniform(0, 2, (k, 3)), np.zeros((k, 4))]
    probabilities = rng.random((k, 3))
    found = boxes_of_each_class(boxes, probabilities, (0, 1, 2), least_score=0.3)
    overlap = box_iou(found.boxes, found.boxes) - np.eye(len(found.boxes))
    same = found.boxes[:, 7, None] == found.boxes[:, 7]
    assert (overlap[same] <= 0.5).all()
    assert (np.diff(found.scores) <= 0).all()
    for c in range(3):  # the most certain box of a class always stays
        best = probabilities[:, c].max(initial=0)
        if best >= 0.3:
            assert found.scores[found.boxes[:, 7] == c].max() == best


def test_votenet_suppresses_by_objectness_and_tells_every_class():
    objectness = np.array([0.8, 0.6, 0.5, 0.05])
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [1, 0]])
    boxes = np.stack([CUBE, NEAR, FAR, FAR])
    found = boxes_with_every_class(boxes, objectness, probabilities, (3, 7))
    told = [
        (box[0], box[7], round(score, 6))
        for box, score in zip(found.boxes, found.scores, strict=True)
    ]
    assert told == [(0, 3, 0.72), (5, 7, 0.4), (5, 3, 0.1), (0, 7, 0.08)]


def test_boxes_of_other_classes_do_not_compete():
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7]])
    found = boxes_with_every_class(
        np.stack([CUBE, NEAR]), np.array([0.8, 0.6]), probabilities, (3, 7)
    )
    assert len(found.boxes) == 4


def test_nothing_is_found_in_nothing():
    none, no = np.zeros((0, 7)), np.zeros((0, 2))
    assert boxes_of_each_class(none, no, (3, 7)).boxes.shape == (0, 8)
    assert boxes_with_every_class(none, np.zeros(0), no, (3, 7)).boxes.shape == (0, 8)
