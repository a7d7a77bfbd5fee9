"""Tests of pcl_data.evaluation.detection."""

import inspect
import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation import DetectionEvaluator, DetectionResult, box_iou
from pcl_data.label_set import SCANNET20

WALL, BED, CHAIR = 0, 3, 4
Scene = tuple[list[tuple[float, int]], list[tuple[float, int, float]]]


def cubes(rows: list[tuple]) -> np.ndarray:
    """Unit cubes on the x axis from (x, class, ...); x apart, two have IoU (1 - x) / (1 + x)."""
    return np.array([(x, 0, 0, 1, 1, 1, 0, label) for x, label, *_ in rows], float).reshape(-1, 8)


def evaluate(*scenes: Scene) -> DetectionResult:
    """Score scenes given as true (x, class) and detected (x, class, score)."""
    evaluator = DetectionEvaluator(SCANNET20)
    for truth, found in scenes:
        scores = np.array([score for *_, score in found], float)
        evaluator.update(cubes(truth), cubes(found), scores)
    return evaluator.compute()


def chair(*scenes: Scene):
    return evaluate(*scenes).per_class["chair"]


def slow_score(scenes: list[Scene], label: int, overlap: float) -> tuple[float, float]:
    """AP and recall of a class, detection by detection as VoteNet's script says."""
    found = [(score, i, x) for i, (_, f) in enumerate(scenes) for x, c, score in f if c == label]
    truth = {i: [x for x, c in t if c == label] for i, (t, _) in enumerate(scenes)}
    n_truth = sum(len(x) for x in truth.values())
    if n_truth == 0:
        return math.nan, math.nan
    taken, recall, precision, true = set(), [0.0], [], 0
    for rank, (_, i, x) in enumerate(sorted(found, key=lambda row: -row[0]), start=1):
        best, target = -1.0, -1
        for j, y in enumerate(truth[i]):
            iou = box_iou(cubes([(x, 0)]), cubes([(y, 0)]))[0, 0]
            if iou > best:
                best, target = iou, j
        if best > overlap and (i, target) not in taken:
            taken.add((i, target))
            true += 1
        recall.append(true / n_truth)
        precision.append(true / rank)
    ap = 0.0
    for k in range(len(precision)):  # the envelope: the best precision at this recall or beyond
        ap += (recall[k + 1] - recall[k]) * max(precision[k:])
    return ap, recall[-1]


places = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 3.0])
labels = st.sampled_from([WALL, BED, CHAIR, CHAIR])
scene_strategy = st.tuples(
    st.lists(st.tuples(places, labels), max_size=4),
    st.lists(st.tuples(places, labels, st.integers(0, 5).map(float)), max_size=6),
)


@given(st.lists(scene_strategy, max_size=3))
def test_matches_the_rules(scenes):
    result = evaluate(*scenes)
    rows = []
    for label in SCANNET20.things:
        (ap25, recall25), (ap50, recall50) = (slow_score(scenes, label, x) for x in (0.25, 0.5))
        rows.append((ap25, ap50, recall25, recall50))
    table = np.array([astuple(row) for row in result.per_class.values()])
    np.testing.assert_allclose(table, rows, rtol=0, atol=1e-12)
    means = (result.map25, result.map50, result.recall25, result.recall50)
    known = np.array([row for row in rows if not math.isnan(row[0])]).reshape(-1, 4)
    expected = known.mean(axis=0) if len(known) else [math.nan] * 4
    np.testing.assert_allclose(means, expected, rtol=0, atol=1e-12)


@given(scene_strategy, scene_strategy)
def test_order_of_scenes_does_not_matter(first, second):
    def ranked(scene: Scene, offset: float) -> Scene:  # equal scores count in the order given
        rows = [(x, c, s + offset + i / 64) for i, (x, c, s) in enumerate(scene[1])]
        return scene[0], rows

    left, right = ranked(first, 0.0), ranked(second, 0.5)
    assert str(evaluate(left, right)) == str(evaluate(right, left))


def test_perfect_is_one():
    scene = ([(0.0, CHAIR), (5.0, BED)], [(0.0, CHAIR, 0.9), (5.0, BED, 0.1)])
    result = evaluate(scene)
    assert (result.map25, result.map50, result.recall25, result.recall50) == (1, 1, 1, 1)


def test_hand_value():
    # by score: true, false, true of 4; precision 1, 1/2, 2/3 and the envelope 1, 2/3, 2/3
    truth = [(0.0, CHAIR), (5.0, CHAIR), (10.0, CHAIR), (15.0, CHAIR)]
    scores = chair((truth, [(0.0, CHAIR, 0.9), (2.0, CHAIR, 0.8), (5.0, CHAIR, 0.7)]))
    assert scores.ap25 == pytest.approx((1 + 2 / 3) / 4)
    assert scores.recall25 == 2 / 4


def test_the_envelope_forgives_a_dip():
    # true, false, true, true of 3: precision 1, 1/2, 2/3, 3/4, so 3/4 for the last two
    truth = [(0.0, CHAIR), (5.0, CHAIR), (10.0, CHAIR)]
    found = [(0.0, CHAIR, 4.0), (2.0, CHAIR, 3.0), (5.0, CHAIR, 2.0), (10.0, CHAIR, 1.0)]
    assert chair((truth, found)).ap25 == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)


def test_a_second_hit_is_a_false_positive():
    truth = [(0.0, CHAIR), (5.0, CHAIR)]
    found = [(0.0, CHAIR, 0.9), (0.1, CHAIR, 0.8), (5.0, CHAIR, 0.7)]
    assert chair((truth, found)).ap50 == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_asks_only_for_its_best_box():
    # both lie closest to the chair at 0; the one at 0.5 is taken by none
    scene = ([(0.0, CHAIR), (0.5, CHAIR)], [(0.1, CHAIR, 0.9), (0.2, CHAIR, 0.8)])
    assert chair(scene).recall25 == 1 / 2


def test_overlap_must_be_exceeded():
    for height, expected in [(0.5, (1, 0)), (0.25, (0, 0))]:  # as the IoU, exactly
        found = cubes([(0.0, CHAIR)])
        found[:, 5] = height
        evaluator = DetectionEvaluator(SCANNET20)
        evaluator.update(cubes([(0.0, CHAIR)]), found, np.array([0.9]))
        result = evaluator.compute()
        assert (result.map25, result.map50) == expected


def test_the_heading_counts():
    plank = np.array([[0, 0, 0, 4.0, 1, 1, 0, CHAIR]])
    turned = np.array([[0, 0, 0, 4.0, 1, 1, math.pi / 2, CHAIR]])
    evaluator = DetectionEvaluator(SCANNET20)
    evaluator.update(plank, turned, np.array([0.9]))  # 1 of 7 shared
    assert evaluator.compute().map25 == 0


def test_boxes_of_another_scene_are_not_hit():
    assert chair(([(0.0, CHAIR)], []), ([], [(0.0, CHAIR, 0.9)])).ap25 == 0


def test_scores_are_ranked_over_all_scenes():
    found = ([(0.0, CHAIR)], [(0.0, CHAIR, 0.5)])
    wrong = ([], [(0.0, CHAIR, 0.9)])
    assert chair(found, wrong).ap25 == 1 / 2


def test_class_without_truth_is_nan_and_left_out_of_the_mean():
    result = evaluate(([(0.0, CHAIR)], [(0.0, CHAIR, 0.5), (0.0, BED, 0.9)]))
    assert all(math.isnan(x) for x in astuple(result.per_class["bed"]))
    assert result.map25 == 1


def test_truth_without_detection_is_zero():
    assert astuple(chair(([(0.0, CHAIR)], []))) == (0, 0, 0, 0)


def test_uncountable_classes_are_not_scored():
    result = evaluate(([(0.0, WALL)], [(0.0, WALL, 0.9)]))
    assert list(result.per_class) == [SCANNET20.names[c] for c in SCANNET20.things]
    assert math.isnan(result.map25)


@pytest.mark.filterwarnings("error")
def test_no_scene_and_empty_scene_are_nan_without_a_warning():
    for result in (evaluate(), evaluate(([], []))):
        assert math.isnan(result.map25)


def test_equal_scores_count_in_the_order_given():
    truth, right, wrong = [(0.0, CHAIR)], (0.0, CHAIR, 0.5), (3.0, CHAIR, 0.5)
    assert chair((truth, [right, wrong])).ap25 == 1
    assert chair((truth, [wrong, right])).ap25 == 1 / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.ones((1, 7))}, r"boxes must have shape \(k, 8\), got \(1, 7\)"),
        ({"predicted": np.ones((1, 9))}, r"predicted must have shape \(k, 8\), got \(1, 9\)"),
        ({"boxes": np.full((1, 8), 20.0)}, r"boxes must have train ids in \[0, 20\) .* got 20"),
        ({"predicted": np.full((1, 8), 0.5)}, r"predicted must have train ids in .* got 0.5"),
        ({"boxes": cubes([(0, -1)])}, r"boxes must have train ids in .* got -1"),
        ({"boxes": np.full((1, 8), np.nan)}, "boxes must be finite, got nan"),
        ({"predicted": -np.ones((1, 8))}, "predicted must have sizes of at least 0, got -1.0"),
        ({"scores": np.ones(2)}, r"scores must have shape \(1,\), got \(2,\)"),
        ({"scores": np.array([np.inf])}, "scores must be finite, got inf"),
    ],
)
def test_rejects_and_keeps_nothing(changes, message):
    arguments = {"boxes": np.ones((1, 8)), "predicted": np.ones((1, 8)), "scores": np.ones(1)}
    evaluator = DetectionEvaluator(SCANNET20)
    update = inspect.unwrap(DetectionEvaluator.update)  # without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        update(evaluator, **arguments | changes)
    assert math.isnan(evaluator.compute().map25)
