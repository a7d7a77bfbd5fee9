"""Tests of pcl_data.evaluation.coverage."""

import inspect
import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation import CoverageEvaluator, CoverageResult
from pcl_data.label_set import S3DIS13

N_CLASSES = 13
Point = tuple[int, int, int, int]  # true class and id, predicted class and id


def evaluate(*rooms: list[Point]) -> CoverageResult:
    evaluator = CoverageEvaluator(S3DIS13)
    for room in rooms:
        evaluator.update(*np.array(room, np.int64).reshape(-1, 4).T)
    return evaluator.compute()


def runs(*rows: tuple[int, Point]) -> list[Point]:
    return [point for count, point in rows for _ in range(count)]


def first(result: CoverageResult) -> tuple[float, ...]:
    return astuple(result.per_class[S3DIS13.names[0]])


def slow_instances(room: list[Point], column: int) -> list[tuple[int, set[int]]]:
    """Class and points of each instance; the lowest of the most frequent labels."""
    found = []
    for number in sorted({point[column + 1] for point in room} - {-1}):
        members = {i for i, point in enumerate(room) if point[column + 1] == number}
        votes = [room[i][column] for i in members if room[i][column] != -1]
        label = max(sorted(set(votes)), key=votes.count) if votes else -1
        found.append((label, members))
    return found


def slow_scores(rooms: list[list[Point]], label: int) -> list[float]:
    """Coverage, weighted coverage, precision and recall of a class as in the script of ASIS."""
    covers, weighted, true, n_found, n_truth = [], [], 0, 0, 0
    for whole in rooms:
        room = [point for point in whole if point[0] != -1]
        truth = [members for c, members in slow_instances(room, 0) if c == label]
        found = [members for c, members in slow_instances(room, 2) if c == label]
        best = [max([len(t & f) / len(t | f) for f in found], default=0) for t in truth]
        if truth:
            covers.append(sum(best) / len(best))
            sizes = [len(t) for t in truth]
            weighted.append(sum(b * s for b, s in zip(best, sizes, strict=True)) / sum(sizes))
        true += sum(max([len(t & f) / len(t | f) for t in truth], default=0) >= 0.5 for f in found)
        n_found, n_truth = n_found + len(found), n_truth + len(truth)
    return [
        sum(covers) / len(covers) if covers else math.nan,
        sum(weighted) / len(weighted) if weighted else math.nan,
        true / n_found if n_found else math.nan,
        true / n_truth if n_truth else math.nan,
    ]


classes, ids = st.sampled_from([-1, 0, 0, 1, 12]), st.sampled_from([0, 1, 7, -1])
room_strategy = st.lists(
    st.tuples(st.integers(1, 5), st.tuples(classes, ids, classes, ids)), max_size=8
).map(lambda rows: runs(*rows))


@given(st.lists(room_strategy, max_size=3))
def test_matches_the_script(rooms):
    result = evaluate(*rooms)
    table = np.array([slow_scores(rooms, label) for label in range(N_CLASSES)])
    found = np.array([astuple(row) for row in result.per_class.values()])
    np.testing.assert_allclose(found, table, rtol=0, atol=1e-12)
    means = [x[~np.isnan(x)].mean() if (~np.isnan(x)).any() else math.nan for x in table.T]
    scores = (result.mcov, result.mwcov, result.mprec, result.mrec)
    np.testing.assert_allclose(scores, means, rtol=0, atol=1e-12)


@given(room_strategy, st.randoms(use_true_random=False))
def test_names_of_instances_and_order_of_points_do_not_matter(room, random):
    names = dict(zip([0, 1, 7, -1], [*random.sample([2, 3, 2**40], 3), -1], strict=True))
    renamed = [(c, names[i], d, names[j]) for c, i, d, j in room]
    assert str(evaluate(random.sample(renamed, len(renamed)))) == str(evaluate(room))


def test_perfect_is_one():
    result = evaluate(runs((3, (0, 0, 0, 4)), (2, (0, 1, 0, 5)), (4, (12, 2, 12, 6))))
    assert (result.mcov, result.mwcov, result.mprec, result.mrec) == (1, 1, 1, 1)


def test_hand_value():
    # an instance of 6 points, covered by half, and one of 2 points, covered wholly
    room = runs((3, (0, 0, 0, 0)), (3, (0, 0, 0, -1)), (2, (0, 1, 0, 1)))
    assert first(evaluate(room)) == ((1 / 2 + 1) / 2, (6 / 2 + 2) / 8, 1, 1)
    # one of 1 point less is below one half
    room = runs((2, (0, 0, 0, 0)), (3, (0, 0, 0, -1)), (2, (0, 1, 0, 1)))
    assert first(evaluate(room)) == ((2 / 5 + 1) / 2, (2 + 2) / 7, 1 / 2, 1 / 2)


def test_rooms_weigh_the_same_whatever_their_size():
    perfect, missed = runs((1, (0, 0, 0, 0))), runs((9, (0, 0, 0, -1)), (9, (0, 1, 0, -1)))
    assert first(evaluate(perfect, missed))[:2] == (1 / 2, 1 / 2)


def test_precision_and_recall_are_over_all_rooms():
    perfect, wrong = runs((1, (0, 0, 0, 0))), runs((9, (1, 0, 0, 0)), (9, (1, 0, 0, 1)))
    assert first(evaluate(perfect, wrong))[2:] == (1 / 3, 1)


def test_recall_exceeds_one_where_two_halves_are_found():
    assert first(evaluate(runs((2, (0, 0, 0, 0)), (2, (0, 0, 0, 1)))))[2:] == (1, 2)


def test_the_class_of_an_instance_is_its_most_frequent_label():
    room = runs((3, (0, 0, 0, 0)), (2, (0, 0, 1, 0)), (1, (1, 0, 1, 0)))
    assert first(evaluate(room)) == (1, 1, 1, 1)
    tied = runs((2, (0, 0, 1, 0)), (2, (0, 0, 0, 0)))
    assert first(evaluate(tied)) == (1, 1, 1, 1)


def test_unknown_labels_do_not_vote():
    assert first(evaluate(runs((3, (0, 0, -1, 0)), (1, (0, 0, 0, 0))))) == (1, 1, 1, 1)
    nameless = evaluate(runs((3, (0, 0, -1, 0))))
    assert first(nameless)[0] == 0
    assert math.isnan(first(nameless)[2])


def test_points_without_truth_are_dropped():
    assert first(evaluate(runs((3, (0, 0, 0, 0)), (9, (-1, 0, 0, 0))))) == (1, 1, 1, 1)


def test_points_without_a_true_instance_count_in_the_union():
    assert first(evaluate(runs((3, (0, 0, 0, 0)), (1, (0, -1, 0, 0)))))[0] == 3 / 4


def test_class_only_predicted_has_a_precision_alone():
    result = evaluate(runs((3, (0, 0, 0, 0)), (3, (0, 0, 1, 1))))
    scores = astuple(result.per_class[S3DIS13.names[1]])
    assert scores[2] == 0
    assert np.isnan(scores).tolist() == [True, True, False, True]
    assert result.mprec == 1 / 2


@pytest.mark.filterwarnings("error")
def test_no_room_and_no_label_are_nan_without_a_warning():
    for result in (evaluate(), evaluate([]), evaluate([(-1, 0, 0, 0)])):
        assert math.isnan(result.mcov)
        assert math.isnan(result.mrec)


def test_protocol_names_the_label_set():
    assert evaluate().protocol == "s3dis13/points"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [13, 0]}, r"labels must lie in \[-1, 12\], got \[0, 13\]"),
        ({"predicted_labels": [-2, 0]}, r"predicted_labels must lie in \[-1, 12\]"),
        ({"instances": [-2, 0]}, r"instances must be at least -1, got \[-2, 0\]"),
        ({"predicted_instances": [-2, 0]}, "predicted_instances must be at least -1"),
        ({"predicted_instances": [0]}, r"predicted_instances must be as many as labels \(2\)"),
    ],
)
def test_rejects_and_keeps_nothing(changes, message):
    names = ("labels", "instances", "predicted_labels", "predicted_instances")
    arguments = {name: [0, 0] for name in names} | changes
    evaluator = CoverageEvaluator(S3DIS13)
    update = inspect.unwrap(CoverageEvaluator.update)  # without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        update(evaluator, *(np.array(x) for x in arguments.values()))
    assert math.isnan(evaluator.compute().mcov)
