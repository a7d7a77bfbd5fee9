"""Tests of pcl_data.evaluation.panoptic."""

import inspect
import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation import PanopticEvaluator, PanopticResult, SemanticEvaluator
from pcl_data.label_set import SCANNET200, SEMANTICKITTI19

CAR, PERSON, ROAD, FENCE = (
    SEMANTICKITTI19.names.index(name) for name in ("car", "person", "road", "fence")
)
Point = tuple[int, int, int, int]  # true class and id, predicted class and id


def evaluate(*scenes: list[Point], min_points: int = 1) -> PanopticResult:
    evaluator = PanopticEvaluator(SEMANTICKITTI19, min_points=min_points)
    for scene in scenes:
        evaluator.update(*np.array(scene, np.int64).reshape(-1, 4).T)
    return evaluator.compute()


def runs(*rows: tuple[int, Point]) -> list[Point]:
    return [point for count, point in rows for _ in range(count)]


def slow_quality(scenes: list[list[Point]], label: int, min_points: int) -> tuple[float, ...]:
    """PQ, SQ and RQ of a class with sets of points, from the definition."""
    true, false, missed, total = 0, 0, 0, 0.0
    for scene in scenes:
        kept = [point for point in scene if point[0] != -1]

        def segments(column: int, kept: list[Point] = kept) -> list[set[int]]:
            ids: dict[int, set[int]] = {}
            for i, point in enumerate(kept):
                if point[column] == label:
                    key = -1 if SEMANTICKITTI19.is_stuff[label] else point[column + 1]
                    ids.setdefault(key, set()).add(i)
            return list(ids.values())

        truth, found = segments(0), segments(2)
        matched = [(t, f) for t in truth for f in found if len(t & f) / len(t | f) > 0.5]
        true += len(matched)
        total += sum(len(t & f) / len(t | f) for t, f in matched)
        missed += sum(len(t) >= min_points and t not in [m[0] for m in matched] for t in truth)
        false += sum(len(f) >= min_points and f not in [m[1] for m in matched] for f in found)
    if true + false + missed == 0:
        return math.nan, math.nan, math.nan
    sq, rq = total / max(true, 1), true / (true + false / 2 + missed / 2)
    return sq * rq, sq, rq


classes, ids = st.sampled_from([CAR, CAR, PERSON, ROAD, FENCE, -1]), st.sampled_from([0, 1, 7, -1])
scene_strategy = st.lists(
    st.tuples(st.integers(1, 5), st.tuples(classes, ids, classes, ids)), max_size=8
).map(lambda rows: runs(*rows))
agreeing = st.lists(  # the prediction is the truth, but for ids and a few points
    st.tuples(st.integers(1, 5), st.tuples(classes, ids), st.booleans()), max_size=8
).map(lambda rows: runs(*((n, (c, i, c if ok else CAR, i + 1)) for n, (c, i), ok in rows)))


@given(st.lists(st.one_of(scene_strategy, agreeing), max_size=3), st.integers(1, 4))
def test_matches_the_definition(scenes, min_points):
    result = evaluate(*scenes, min_points=min_points)
    rows = np.array([slow_quality(scenes, c, min_points) for c in range(19)])
    semantic = SemanticEvaluator(SEMANTICKITTI19)
    for scene in scenes:
        semantic.update(*np.array(scene, np.int64).reshape(-1, 4).T[[0, 2]])
    iou = np.array(list(semantic.compute().per_class.values()))
    table = np.column_stack([rows, iou])
    # sums of a few quotients: 1e-12 is generous
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose([astuple(x) for x in result.per_class.values()], table, **close)
    is_stuff = np.array(SEMANTICKITTI19.is_stuff)
    for scores, part in (
        ((result.pq, result.sq, result.rq, result.miou), table),
        (astuple(result.things), table[~is_stuff]),
        (astuple(result.stuff), table[is_stuff]),
    ):
        means = [x[~np.isnan(x)].mean() if (~np.isnan(x)).any() else math.nan for x in part.T]
        np.testing.assert_allclose(scores, means, **close)


@given(scene_strategy, st.randoms(use_true_random=False))
def test_names_of_instances_and_order_of_points_do_not_matter(scene, random):
    names = {i: name for name, i in enumerate(random.sample([0, 1, 7, -1], 4), start=2)}
    renamed = [(c, names[i], d, names[j]) for c, i, d, j in scene]
    moved = random.sample(renamed, len(renamed))
    assert str(evaluate(moved)) == str(evaluate(scene))


def test_perfect_is_one():
    scene = runs((3, (CAR, 1, CAR, 4)), (2, (CAR, 2, CAR, 5)), (4, (ROAD, -1, ROAD, -1)))
    result = evaluate(scene)
    assert (result.pq, result.pq_dagger, result.sq, result.rq, result.miou) == (1, 1, 1, 1, 1)
    assert astuple(result.things) == astuple(result.stuff) == (1, 1, 1, 1)


def test_hand_value():
    # car 1: 4 points of which 3 are found, and nothing else: IoU 3/4, a match
    # car 2: 4 points of which 2 are found: IoU 1/2 is no match, so one missed and one false
    scene = runs(
        (3, (CAR, 1, CAR, 1)),
        (1, (CAR, 1, ROAD, -1)),
        (2, (CAR, 2, CAR, 2)),
        (2, (CAR, 2, ROAD, -1)),
        (9, (ROAD, -1, ROAD, -1)),
    )
    result = evaluate(scene)
    car, road = result.per_class["car"], result.per_class["road"]
    assert (car.sq, car.rq, car.iou) == (3 / 4, 1 / (1 + 1 / 2 + 1 / 2), 5 / 8)
    assert car.pq == 3 / 8
    assert (road.pq, road.iou) == (9 / 12, 9 / 12)
    assert result.pq == (3 / 8 + 9 / 12) / 2
    assert (result.things.pq, result.stuff.pq) == (3 / 8, 9 / 12)


def test_pq_dagger_takes_the_iou_of_uncountable_classes():
    # the road has IoU 1/4: no match and PQ 0, but a quarter of its points
    result = evaluate(
        runs((1, (ROAD, -1, ROAD, -1)), (3, (ROAD, -1, FENCE, -1)), (2, (CAR, 1, CAR, 1)))
    )
    assert result.pq == pytest.approx((1 + 0 + 0) / 3)
    assert result.pq_dagger == pytest.approx((1 + 1 / 4 + 0) / 3)


def test_points_without_truth_are_dropped_before_anything_is_counted():
    # the predicted car covers 10 unlabeled points as well: its IoU is still 1
    scene = runs((4, (CAR, 1, CAR, 1)), (10, (-1, 5, CAR, 1)), (6, (-1, -1, PERSON, 1)))
    result = evaluate(scene)
    assert result.per_class["car"].pq == 1
    assert math.isnan(result.per_class["person"].pq)


def test_points_predicted_as_unknown_are_in_no_segment():
    car = evaluate(runs((3, (CAR, 1, CAR, 1)), (1, (CAR, 1, -1, 1)))).per_class["car"]
    assert (car.sq, car.rq, car.iou) == (3 / 4, 1, 3 / 4)


def test_points_without_an_id_are_one_segment_of_their_class():
    car = evaluate(runs((3, (CAR, -1, CAR, -1)), (2, (CAR, 1, CAR, 1)))).per_class["car"]
    assert car.pq == 1


def test_ids_of_uncountable_classes_are_not_read():
    assert evaluate(runs((3, (ROAD, 1, ROAD, 5)), (3, (ROAD, 2, ROAD, 6)))).pq == 1


def test_one_id_in_two_classes_is_two_segments():
    assert evaluate(runs((3, (CAR, 1, CAR, 1)), (3, (PERSON, 1, PERSON, 1)))).pq == 1


def test_segments_of_two_classes_do_not_match():
    result = evaluate(runs((3, (CAR, 1, PERSON, 1))))
    assert (result.per_class["car"].pq, result.per_class["person"].pq) == (0, 0)


def test_small_segments_without_a_match_do_not_count():
    # a match, a missed car of 2 points and a false one of 3
    scene = runs((4, (CAR, 1, CAR, 1)), (2, (CAR, 2, ROAD, -1)), (3, (ROAD, -1, CAR, 3)))
    quality = [evaluate(scene, min_points=m).per_class["car"].rq for m in (2, 3, 4)]
    assert quality == [1 / (1 + 1 / 2 + 1 / 2), 1 / (1 + 1 / 2), 1]


def test_small_segments_with_a_match_count():
    assert evaluate(runs((2, (CAR, 1, CAR, 1))), min_points=50).per_class["car"].pq == 1


def test_default_min_points_is_fifty():
    for size, expected in [(49, True), (50, False)]:
        evaluator = PanopticEvaluator(SEMANTICKITTI19)
        evaluator.update(*np.array(runs((size, (CAR, 1, ROAD, -1)))).T)
        assert math.isnan(evaluator.compute().per_class["car"].pq) is expected


def test_segments_of_two_scenes_are_different_ones():
    missed, false = runs((3, (CAR, 1, ROAD, -1))), runs((3, (ROAD, -1, CAR, 1)))
    assert evaluate(missed, false).per_class["car"].pq == 0


@pytest.mark.filterwarnings("error")
def test_no_scene_and_no_label_are_nan_without_a_warning():
    for result in (evaluate(), evaluate([]), evaluate([(-1, 1, CAR, 1)])):
        assert math.isnan(result.pq)
        assert math.isnan(result.pq_dagger)


def test_large_ids_and_small_types_are_fine():
    labels = np.array([100, 100, 101], np.int8)
    ids = np.array([2**62, 0, 0])
    evaluator = PanopticEvaluator(SCANNET200, min_points=1)
    evaluator.update(labels, ids, labels, ids)
    assert evaluator.compute().pq == 1


def test_protocol_names_the_rule():
    assert evaluate(min_points=7).protocol == "semantickitti19/points/min_points=7"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [19, 0]}, r"labels must lie in \[-1, 18\], got \[0, 19\]"),
        ({"predicted_labels": [-2, 0]}, r"predicted_labels must lie in \[-1, 18\], got \[-2, 0\]"),
        ({"instances": [-2, 0]}, r"instances must be at least -1, got \[-2, 0\]"),
        ({"predicted_instances": [-2, 0]}, "predicted_instances must be at least -1"),
        ({"instances": [0]}, r"instances must be as many as labels \(2\), got 1"),
        ({"predicted_labels": [0]}, r"predicted_labels must be as many as labels \(2\), got 1"),
        ({"predicted_instances": [0]}, r"predicted_instances must be as many as labels"),
        ({"instances": [0.5, 0.5]}, "instances must be a vector of integers, got float64"),
    ],
)
def test_rejects_and_keeps_nothing(changes, message):
    names = ("labels", "instances", "predicted_labels", "predicted_instances")
    arguments = {name: [0, 0] for name in names} | changes
    evaluator = PanopticEvaluator(SEMANTICKITTI19, min_points=1)
    update = inspect.unwrap(PanopticEvaluator.update)  # without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        update(evaluator, *(np.array(x) for x in arguments.values()))
    assert math.isnan(evaluator.compute().miou)


def test_rejects_min_points_below_one():
    with pytest.raises(ValueError, match="min_points must be at least 1, got 0"):
        PanopticEvaluator(SEMANTICKITTI19, min_points=0)
