"""Tests of pcl_data.evaluation.semantic."""

import dataclasses
import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation import SemanticEvaluator, SemanticResult
from pcl_data.label_set import NUSCENES16, SCANNET20, SCANNET200, SEMANTICKITTI19, LabelSet

N_CLASSES = 20
points = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1, 2, 19]), st.sampled_from([-1, 0, 1, 3, 19])), max_size=40
)


def evaluate(*scenes: list[tuple[int, int]]) -> SemanticResult:
    """Score scenes given as (label, prediction) pairs."""
    evaluator = SemanticEvaluator(SCANNET20)
    for scene in scenes:
        labels, predictions = np.array(scene, dtype=np.int64).reshape(-1, 2).T
        evaluator.update(labels, predictions)
    return evaluator.compute()


def reference(pairs: list[tuple[int, int]]) -> tuple[float, float, list[float]]:
    """Mean IoU, mean accuracy and class IoU, point by point from the rules of the benchmark."""
    ious, accuracies = [], []
    for c in range(N_CLASSES):
        tp = sum(1 for y, p in pairs if y == c and p == c)
        fn = sum(1 for y, p in pairs if y == c and p != c)
        fp = sum(1 for y, p in pairs if y not in (c, -1) and p == c)
        ious.append(tp / (tp + fp + fn) if tp + fp + fn else math.nan)
        if tp + fn:
            accuracies.append(tp / (tp + fn))
    known = [x for x in ious if not math.isnan(x)]
    miou = sum(known) / len(known) if known else math.nan
    macc = sum(accuracies) / len(accuracies) if accuracies else math.nan
    return miou, macc, ious


def assert_scores(result, miou, macc, ious):
    # means of at most 20 quotients: rounding is far below 1e-12
    np.testing.assert_allclose(
        [result.miou, result.macc, *result.per_class.values()], [miou, macc, *ious], atol=1e-12
    )


@given(points)
def test_matches_the_rules(pairs):
    assert_scores(evaluate(pairs), *reference(pairs))


@given(points, points, st.randoms(use_true_random=False))
def test_order_of_points_and_scenes_does_not_matter(first, second, random):
    shuffled = random.sample(first, len(first))
    assert_scores(evaluate(second, shuffled), *reference(first + second))


def test_hand_value():
    # class 0: 2 of 3 found, 1 false alarm from class 1; class 1: 1 of 2 found, 1 from class 0
    result = evaluate([(0, 0), (0, 0), (0, 1), (1, 1), (1, 0)])
    assert result.per_class["wall"] == 2 / 4
    assert result.per_class["floor"] == 1 / 3
    assert result.miou == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert result.macc == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_perfect_is_one():
    result = evaluate([(c, c) for c in range(N_CLASSES)])
    assert (result.miou, result.macc) == (1, 1)
    assert set(result.per_class) == set(SCANNET20.names)


def test_confusion_rows_are_truth_and_the_last_column_is_unknown():
    confusion = evaluate([(2, 3), (2, 3), (2, -1), (-1, 3)]).confusion_matrix
    assert confusion.shape == (N_CLASSES, N_CLASSES + 1)
    assert (confusion[2, 3], confusion[2, -1], confusion.sum()) == (2, 1, 3)


def test_unknown_prediction_is_a_miss_and_nobodys_false_alarm():
    result = evaluate([(0, 0), (0, -1), (19, 19)])
    assert result.per_class["wall"] == 1 / 2
    assert result.per_class["otherfurniture"] == 1


def test_unlabeled_points_do_not_count():
    assert evaluate([(0, 0), (-1, 0), (-1, 3)]).per_class["wall"] == 1
    assert math.isnan(evaluate([(0, 0), (-1, 3)]).per_class[SCANNET20.names[3]])


def test_class_only_predicted_scores_zero():
    result = evaluate([(0, 0), (0, 3)])
    assert result.per_class[SCANNET20.names[3]] == 0
    assert result.miou == (1 / 2 + 0) / 2
    assert result.macc == 1 / 2  # only classes in the truth have an accuracy


@pytest.mark.filterwarnings("error")
def test_nothing_labeled_is_nan_without_a_warning():
    for result in (evaluate(), evaluate([(-1, 0)])):
        assert math.isnan(result.miou)
        assert math.isnan(result.macc)


def test_compute_is_a_snapshot():
    evaluator = SemanticEvaluator(SCANNET20)
    before = evaluator.compute()
    evaluator.update(np.array([0], dtype=np.int8), np.array([0], dtype=np.int8))
    assert before.confusion_matrix.sum() == 0
    assert evaluator.compute().miou == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.miou = 1.0


def test_small_integer_types_do_not_overflow():
    evaluator = SemanticEvaluator(SCANNET200)
    evaluator.update(np.array([100, 99], dtype=np.int8), np.array([100, -1], dtype=np.int8))
    confusion = evaluator.compute().confusion_matrix
    assert (confusion[100, 100], confusion[99, 200]) == (1, 1)


def test_protocol_names_the_label_set():
    assert evaluate().protocol == "scannet20/points"


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([20], [0], r"labels must lie in \[-1, 19\], got \[20, 20\]"),
        ([-2, 0], [0, 0], r"labels must lie in \[-1, 19\], got \[-2, 0\]"),
        ([0], [20], r"predictions must lie in \[-1, 19\], got \[20, 20\]"),
        ([0], [-2], r"predictions must lie in \[-1, 19\], got \[-2, -2\]"),
        ([0, 1], [0], r"predictions must be as many as labels \(2\), got 1"),
        ([0.5], [0], r"labels must be a vector of integers, got float64 of shape \(1,\)"),
        ([0], [[0]], r"predictions must be a vector of integers, got int64 of shape \(1, 1\)"),
    ],
)
def test_rejects(labels, predictions, message):
    evaluator = SemanticEvaluator(SCANNET20)
    update = inspect.unwrap(SemanticEvaluator.update)  # without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        update(evaluator, np.array(labels), np.array(predictions))
    assert evaluator.compute().confusion_matrix.sum() == 0


# The LiDAR benchmarks count with 0 for ignored and 1, 2, ... for the classes.


def lidar_scores(pairs: list[tuple[int, int]], label_set: LabelSet) -> list[float]:
    evaluator = SemanticEvaluator(label_set)
    evaluator.update(*np.array(pairs, np.int64).reshape(-1, 2).T - 1)
    return list(evaluator.compute().per_class.values())


def semantickitti_scores(pairs: list[tuple[int, int]]) -> list[float]:
    """IoU of classes 1 to 19, as np_ioueval.py counts: only the truth's ignored points go."""
    kept = [(y, p) for y, p in pairs if y != 0]
    ious = []
    for c in range(1, 20):
        tp = sum(1 for y, p in kept if y == p == c)
        fp = sum(1 for y, p in kept if p == c) - tp
        fn = sum(1 for y, p in kept if y == c) - tp
        ious.append(tp / (tp + fp + fn + 1e-15))
    return ious


def nuscenes_scores(pairs: list[tuple[int, int]]) -> list[float]:
    """IoU of classes 1 to 16, as lidarseg/utils.py counts: the row and the column 0 go."""
    kept = [(y, p) for y, p in pairs if y != 0 and p != 0]
    ious = []
    for c in range(1, 17):
        tp = sum(1 for y, p in kept if y == p == c)
        union = sum(1 for y, p in kept if y == c) + sum(1 for y, p in kept if p == c) - tp
        ious.append(tp / union if union else math.nan)
    return ious


def lidar_pairs(n_classes: int, predicted_from: int):
    truth, predicted = st.integers(0, n_classes), st.integers(predicted_from, n_classes)
    return st.lists(st.tuples(truth, predicted), max_size=60)


@given(lidar_pairs(19, 0))
def test_semantickitti_scores_are_the_official_ones_where_a_class_occurs(pairs):
    ours = np.array(lidar_scores(pairs, SEMANTICKITTI19))
    # the script adds 1e-15 to a union and gives 0 to a class that does not occur
    np.testing.assert_allclose(np.nan_to_num(ours), semantickitti_scores(pairs), atol=1e-12)
    occurs = [any(c in (y, p) for y, p in pairs if y) for c in range(1, 20)]
    assert (~np.isnan(ours)).tolist() == occurs


@given(lidar_pairs(16, 1))
def test_nuscenes_scores_are_the_official_ones_where_every_point_is_predicted(pairs):
    ours = lidar_scores(pairs, NUSCENES16)
    np.testing.assert_allclose(ours, nuscenes_scores(pairs), atol=1e-12)


def test_unpredicted_points_are_misses_where_nuscenes_would_forget_them():
    # its script refuses such predictions; its formula would give a perfect score
    pairs = [(1, 1), (1, 0)]
    assert nuscenes_scores(pairs)[0] == 1
    assert semantickitti_scores(pairs)[0] == pytest.approx(1 / 2)
    assert lidar_scores(pairs, NUSCENES16)[0] == 1 / 2
