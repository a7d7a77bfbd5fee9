"""Tests of pcl_data.evaluation.instance."""

import dataclasses
import inspect
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_data.evaluation import InstanceEvaluator, InstanceResult
from pcl_data.evaluation.instance import OVERLAPS
from pcl_data.label_set import SCANNET20

WALL, BED, CHAIR = 0, 3, 4
UNLABELLED = -1


class Mask(NamedTuple):
    """A prediction: its points, class and score."""

    points: list[int]
    label: int
    score: float


class World(NamedTuple):
    """A scene: class and instance of every point, and the predictions."""

    labels: list[int]
    instances: list[int]
    masks: list[Mask]


def world(runs: list[tuple[int, int, int]], masks: list[tuple[range, int, float]]) -> World:
    """A scene of runs of (length, class, instance id) and predictions that are ranges of points."""
    labels = [label for length, label, _ in runs for _ in range(length)]
    instances = [instance for length, _, instance in runs for _ in range(length)]
    members = [Mask([i for i in r if i < len(labels)], label, score) for r, label, score in masks]
    return World(labels, instances, members)


def arrays(scene: World, *, as_indices: bool = False) -> dict:
    masks = [np.array(mask.points, dtype=np.int64) for mask in scene.masks]
    if not as_indices:
        dense = np.zeros((len(masks), len(scene.labels)), dtype=bool)
        for row, mask in zip(dense, masks, strict=True):
            row[mask] = True
        masks = dense
    return {
        "labels": np.array(scene.labels, dtype=np.int64),
        "instances": np.array(scene.instances, dtype=np.int64),
        "masks": masks,
        "mask_labels": np.array([mask.label for mask in scene.masks], dtype=np.int64),
        "scores": np.array([mask.score for mask in scene.masks], dtype=np.float64),
    }


def evaluate(*scenes: World, min_region: int = 1, as_indices: bool = False) -> InstanceResult:
    evaluator = InstanceEvaluator(SCANNET20, min_region=min_region)
    for scene in scenes:
        evaluator.update(**arrays(scene, as_indices=as_indices))
    return evaluator.compute()


def chair(*scenes: World, min_region: int = 1):
    return evaluate(*scenes, min_region=min_region).per_class["chair"]


def as_table(result: InstanceResult) -> np.ndarray:
    rows = [dataclasses.astuple(row) for row in result.per_class.values()]
    return np.array([*rows, (result.ap, result.ap50, result.ap25)])


def assert_same(left: InstanceResult, right: InstanceResult) -> None:
    np.testing.assert_allclose(as_table(left), as_table(right), rtol=0, atol=1e-12)


# A slow second implementation, written from the rules alone, with ids as in the benchmark's files.


def slow_average_precision(scenes: list[World], label: int, overlap: float, min_region: int):
    examples, missed, n_truth = [], 0, 0  # examples: (score, is a true positive)
    for scene in scenes:
        ids = [
            1000 * y + i + 1 if y in SCANNET20.things and i >= 0 else 0
            for y, i in zip(scene.labels, scene.instances, strict=True)
        ]
        truth = {g: [j for j, k in enumerate(ids) if k == g] for g in sorted(set(ids))}
        truth = {g: members for g, members in truth.items() if g // 1000 == label and g > 0}
        masks = [m for m in scene.masks if m.label == label and len(m.points) >= min_region]

        def shared(mask: Mask, members: list[int]) -> int:
            return len(set(mask.points) & set(members))

        def iou(mask: Mask, members: list[int]) -> float:
            both = shared(mask, members)
            return both / (len(members) + len(mask.points) - both)

        visited = set()
        for members in truth.values():
            if len(members) < min_region:
                continue
            n_truth += 1
            taken = None
            for number, mask in enumerate(masks):
                if number in visited or not iou(mask, members) > overlap:
                    continue
                if taken is None:
                    taken = mask.score
                    visited.add(number)
                else:
                    examples.append((min(taken, mask.score), False))
                    taken = max(taken, mask.score)
            if taken is None:
                missed += 1
            else:
                examples.append((taken, True))
        void = [j for j, k in enumerate(ids) if k == 0]
        for mask in masks:
            if any(iou(mask, members) > overlap for members in truth.values()):
                continue
            ignored = shared(mask, void) + sum(
                shared(mask, members) for members in truth.values() if len(members) < min_region
            )
            if ignored / len(mask.points) <= overlap:
                examples.append((mask.score, False))
    if n_truth == 0:
        return math.nan
    precision, recall = [], []
    for threshold in sorted({score for score, _ in examples}):
        tp = sum(1 for score, is_true in examples if is_true and score >= threshold)
        fp = sum(1 for score, is_true in examples if not is_true and score >= threshold)
        fn = sum(1 for score, is_true in examples if is_true and score < threshold) + missed
        precision.append(tp / (tp + fp))
        recall.append(tp / (tp + fn))
    precision, recall = [*precision, 1.0], [*recall, 0.0]
    steps = np.convolve([recall[0], *recall, 0.0], [-0.5, 0, 0.5], "valid")
    return sum(p * step for p, step in zip(precision, steps, strict=True))


def slow_table(scenes: list[World], min_region: int) -> np.ndarray:
    rows = []
    for label in SCANNET20.things:
        row = [
            slow_average_precision(scenes, label, overlap, min_region)
            for overlap in np.append(np.arange(0.5, 0.95, 0.05), 0.25)
        ]
        rows.append((sum(row[:9]) / 9, row[0], row[9]))
    known = [row for row in rows if not math.isnan(row[0])]
    means = [sum(column) / len(known) for column in zip(*known, strict=True)] or [math.nan] * 3
    return np.array([*rows, means])


runs = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.sampled_from([CHAIR, CHAIR, CHAIR, BED, WALL, UNLABELLED]),
        st.sampled_from([0, 1, 2, -1]),
    ),
    min_size=1,
    max_size=6,
)
ranges = st.builds(
    lambda start, length, step: range(start, start + length * step, step),
    st.integers(0, 24),
    st.integers(0, 16),
    st.sampled_from([1, 1, 1, 2]),
)
masks = st.lists(
    st.tuples(ranges, st.sampled_from([CHAIR, CHAIR, BED, WALL]), st.integers(0, 3)), max_size=7
)
worlds = st.builds(
    lambda runs, masks: world(runs, [(r, label, score / 4) for r, label, score in masks]),
    runs,
    masks,
)


@settings(max_examples=150)
@given(st.lists(worlds, max_size=3), st.integers(1, 4))
def test_matches_the_rules(scenes, min_region):
    result = evaluate(*scenes, min_region=min_region)
    # sums of at most 27 quotients: 1e-9 is generous
    np.testing.assert_allclose(as_table(result), slow_table(scenes, min_region), rtol=0, atol=1e-9)


@settings(max_examples=40)
@given(worlds, st.integers(1, 4))
def test_index_arrays_equal_booleans(scene, min_region):
    booleans = evaluate(scene, min_region=min_region)
    assert_same(evaluate(scene, min_region=min_region, as_indices=True), booleans)


@settings(max_examples=40)
@given(worlds, st.randoms(use_true_random=False))
def test_order_of_points_does_not_matter(scene, random):
    order = random.sample(range(len(scene.labels)), len(scene.labels))
    moved = World(
        [scene.labels[i] for i in order],
        [scene.instances[i] for i in order],
        [m._replace(points=[order.index(i) for i in m.points]) for m in scene.masks],
    )
    assert_same(evaluate(moved), evaluate(scene))


@settings(max_examples=40)
@given(worlds, st.randoms(use_true_random=False))
def test_order_of_predictions_does_not_matter_from_overlap_one_half(scene, random):
    # At 0.25 one prediction may hit two instances, and the first hit is the one that is used up.
    distinct = [m._replace(score=m.score + i / 64) for i, m in enumerate(scene.masks)]
    shuffled = scene._replace(masks=random.sample(distinct, len(distinct)))
    left, right = as_table(evaluate(shuffled)), as_table(evaluate(scene._replace(masks=distinct)))
    np.testing.assert_allclose(left[:, :2], right[:, :2], rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(worlds, worlds)
def test_order_of_scenes_does_not_matter(first, second):
    assert_same(evaluate(first, second), evaluate(second, first))


@settings(max_examples=40)
@given(worlds)
def test_only_the_order_of_scores_matters(scene):
    stretched = [m._replace(score=math.exp(3 * m.score) - 5) for m in scene.masks]
    assert_same(evaluate(scene._replace(masks=stretched)), evaluate(scene))


@settings(max_examples=40)
@given(st.lists(worlds, max_size=2))
def test_is_a_fraction(scenes):
    table = as_table(evaluate(*scenes))
    assert ((table >= 0) & (table <= 1) | np.isnan(table)).all()


# One case for each rule. Two chairs of ten points, and ten points of wall, unless told otherwise.

TWO_CHAIRS = [(10, CHAIR, 0), (10, CHAIR, 1), (10, WALL, 2)]
FIRST, SECOND, ON_WALL = range(10), range(10, 20), range(20, 30)


def test_perfect_is_one():
    result = evaluate(world(TWO_CHAIRS, [(FIRST, CHAIR, 0.9), (SECOND, CHAIR, 0.8)]))
    assert (result.ap, result.ap50, result.ap25) == (1, 1, 1)


def test_duplicate_lowers_ap():
    both = [(FIRST, CHAIR, 0.9), (SECOND, CHAIR, 0.8)]
    scene = world(TWO_CHAIRS, [*both, (range(9), CHAIR, 0.85)])
    # true at 0.9 and 0.8, false at 0.85: precision 2/3, 1/2, 1, 1 at recall 1, 1/2, 1/2, 0 with
    # steps (1 - 1/2)/2, (1 - 1/2)/2, (1/2 - 0)/2, (1/2 - 0)/2
    assert chair(scene).ap50 == pytest.approx((2 / 3 + 1 / 2 + 1 + 1) / 4)


def test_duplicate_keeps_the_better_score_whatever_its_order():
    weak, strong, other = (FIRST, CHAIR, 0.1), (range(9), CHAIR, 0.9), (SECOND, CHAIR, 0.8)
    expected = 1.0  # the false positive comes after both true ones
    for masks in ([weak, strong, other], [strong, weak, other]):
        assert chair(world(TWO_CHAIRS, masks)).ap50 == expected


def test_prediction_taken_by_one_instance_is_gone_for_the_next():
    # a mask over both chairs has IoU 1/2 with each; only the first chair gets it
    scene = world(TWO_CHAIRS, [(range(20), CHAIR, 0.9)])
    assert chair(scene).ap25 == 1 * (1 / 2 - 0) / 2 + 1 * (1 / 2) / 2
    assert chair(scene).ap50 == 0


def test_only_the_first_hit_of_an_instance_is_used_up():
    # the first chair takes mask 0 and keeps the better score of mask 1, which the second takes too
    scene = world(TWO_CHAIRS, [(FIRST, CHAIR, 0.1), (range(20), CHAIR, 0.9)])
    # true at 0.9 and 0.9, false at 0.1: precision 2/3, 1, 1 at recall 1, 1, 0
    assert chair(scene).ap25 == 2 / 3 * 0 + 1 * (1 - 0) / 2 + 1 * (1 - 0) / 2


def test_instances_choose_in_the_order_of_their_ids():
    overlapping = [(range(20), CHAIR, 0.9), (range(10), CHAIR, 0.1)]
    assert chair(world([(10, CHAIR, 0), (10, CHAIR, 1)], overlapping)).ap25 < 1
    # now the chair that mask 1 does not cover goes first and takes mask 0
    assert chair(world([(10, CHAIR, 1), (10, CHAIR, 0)], overlapping)).ap25 == 1


def test_void_only_prediction_is_ignored():
    found = [(FIRST, CHAIR, 0.5), (SECOND, CHAIR, 0.5)]
    for label, instance in [(WALL, 2), (UNLABELLED, 2), (UNLABELLED, -1), (CHAIR, -1)]:
        scene = world(
            [(10, CHAIR, 0), (10, CHAIR, 1), (10, label, instance)],
            [*found, (ON_WALL, CHAIR, 0.9)],
        )
        assert chair(scene).ap == 1


def test_prediction_on_another_class_is_a_false_positive():
    truth = [(10, CHAIR, 0), (10, BED, 1)]
    result = evaluate(world(truth, [(FIRST, CHAIR, 0.5), (SECOND, CHAIR, 0.9), (SECOND, BED, 1.0)]))
    # chair: true at 0.5, false at 0.9: precision 1/2, 0, 1 at recall 1, 0, 0
    assert result.per_class["chair"].ap50 == 1 / 2 * 1 / 2
    assert result.per_class["bed"].ap50 == 1


def test_void_share_at_the_overlap_is_not_ignored():
    found = [(FIRST, CHAIR, 0.5)]
    truth = [(10, CHAIR, 0), (10, BED, 1), (10, WALL, 2)]
    half_void, more_void = (range(15, 25), CHAIR, 0.9), (range(15, 26), CHAIR, 0.9)
    assert chair(world(truth, [*found, half_void])).ap50 == 1 / 4
    assert chair(world(truth, [*found, more_void])).ap50 == 1


def test_small_instance_need_not_be_found_and_its_points_are_ignored():
    truth = [(10, CHAIR, 0), (4, CHAIR, 1), (6, BED, 2)]
    found = (FIRST, CHAIR, 0.5)
    on_small = (range(10, 15), CHAIR, 0.9)  # five points, four of them on the small chair
    assert chair(world(truth, [found]), min_region=5).ap == 1
    assert chair(world(truth, [found, on_small]), min_region=5).ap50 == 1
    assert chair(world(truth, [found, on_small]), min_region=4).ap50 == 1  # both found
    assert chair(world(truth, [found]), min_region=4).ap50 == 1 / 2


def test_small_instance_of_another_class_is_not_ignored():
    truth = [(10, CHAIR, 0), (4, BED, 1), (6, BED, 2)]
    scene = world(truth, [(FIRST, CHAIR, 0.5), (range(10, 15), CHAIR, 0.9)])
    assert chair(scene, min_region=5).ap50 == 1 / 4


def test_instance_of_exactly_min_region_counts():
    scene = world([(5, CHAIR, 0)], [])
    assert chair(scene, min_region=5).ap == 0
    assert math.isnan(chair(scene, min_region=6).ap)


def test_prediction_under_min_region_takes_no_part():
    truth = [(10, CHAIR, 0), (10, BED, 1)]
    scene = world(truth, [(FIRST, CHAIR, 0.5), (range(10, 15), CHAIR, 0.9)])
    assert chair(scene, min_region=5).ap50 == 1 / 4
    assert chair(scene, min_region=6).ap50 == 1
    small_hit = world([(10, CHAIR, 0)], [(range(9), CHAIR, 0.5)])
    assert chair(small_hit, min_region=9).ap50 == 1
    assert chair(small_hit, min_region=10).ap50 == 0


def test_empty_mask_takes_no_part():
    assert chair(world([(10, CHAIR, 0)], [(FIRST, CHAIR, 0.5), (range(0), CHAIR, 0.9)])).ap == 1


def test_default_min_region_is_one_hundred():
    for size, is_counted in [(99, False), (100, True)]:
        evaluator = InstanceEvaluator(SCANNET20)
        evaluator.update(**arrays(world([(size, CHAIR, 0)], [])))
        assert math.isnan(evaluator.compute().ap) is not is_counted


@pytest.mark.parametrize(
    ("size", "rank"), [(10, 1), (11, 2), (12, 3), (13, 4), (14, 5), (15, 6), (18, 9)]
)
def test_overlap_must_be_exceeded(size, rank):
    # IoU size/20 equals one of 0.50, 0.55, ..., 0.90: found only below it
    ap = chair(world([(20, CHAIR, 0)], [(range(size), CHAIR, 0.5)])).ap
    assert ap == pytest.approx((rank - 1) / 9)


def test_quarter_overlap_must_be_exceeded():
    truth = [(20, CHAIR, 0)]
    assert chair(world(truth, [(range(5), CHAIR, 0.5)])).ap25 == 0
    assert chair(world(truth, [(range(6), CHAIR, 0.5)])).ap25 == 1


def test_overlap_095_is_not_asked_for():
    assert len(OVERLAPS) == 10
    assert max(OVERLAPS) == pytest.approx(0.9)
    assert chair(world([(100, CHAIR, 0)], [(range(91), CHAIR, 0.5)])).ap == 1


def test_class_without_truth_is_nan_and_left_out_of_the_mean():
    result = evaluate(world([(10, CHAIR, 0)], [(FIRST, CHAIR, 0.5), (FIRST, BED, 0.9)]))
    assert all(math.isnan(x) for x in dataclasses.astuple(result.per_class["bed"]))
    assert (result.ap, result.ap50, result.ap25) == (1, 1, 1)


def test_truth_without_prediction_is_zero_and_counts_in_the_mean():
    result = evaluate(world([(10, CHAIR, 0), (10, BED, 1)], [(FIRST, CHAIR, 0.5)]))
    assert dataclasses.astuple(result.per_class["bed"]) == (0, 0, 0)
    assert (result.ap, result.ap50, result.ap25) == (0.5, 0.5, 0.5)


def test_truth_with_only_ignored_predictions_is_zero():
    assert chair(world(TWO_CHAIRS, [(ON_WALL, CHAIR, 0.9)])).ap == 0


def test_unannotated_points_are_no_instance():
    assert math.isnan(chair(world([(10, CHAIR, -1)], [(FIRST, CHAIR, 0.5)])).ap)


def test_one_id_in_two_classes_is_two_instances():
    scene = world([(10, CHAIR, 0), (10, BED, 0)], [(FIRST, CHAIR, 0.5), (SECOND, BED, 0.5)])
    assert evaluate(scene).ap == 1


def test_uncountable_classes_are_not_scored():
    result = evaluate(world([(10, WALL, 0), (10, CHAIR, 1)], [(FIRST, WALL, 0.9)]))
    assert list(result.per_class) == [SCANNET20.names[c] for c in SCANNET20.things]
    assert result.ap == 0


def test_tied_scores_enter_the_curve_together():
    truth = [(10, CHAIR, 0), (10, BED, 1)]
    right, wrong = (FIRST, CHAIR, 0.5), (SECOND, CHAIR, 0.5)
    for masks in ([right, wrong], [wrong, right]):
        # one threshold: precision 1/2, 1 at recall 1, 0
        assert chair(world(truth, masks)).ap50 == (1 / 2 + 1) / 2


def test_false_positive_costs_more_the_higher_its_score():
    truth = [(10, CHAIR, 0), (10, BED, 1)]
    scores = [0.1, 0.5, 0.9]
    found = [chair(world(truth, [(FIRST, CHAIR, 0.5), (SECOND, CHAIR, s)])).ap50 for s in scores]
    assert found == [1, 3 / 4, 1 / 4]


def test_scores_are_ranked_over_all_scenes():
    found = world([(10, CHAIR, 0)], [(FIRST, CHAIR, 0.5)])
    wrong = world([(10, BED, 0)], [(FIRST, CHAIR, 0.9)])
    assert chair(found, wrong).ap50 == 1 / 4


@pytest.mark.filterwarnings("error")
def test_no_scene_and_empty_scene_are_nan_without_a_warning():
    for result in (
        evaluate(),
        evaluate(World([], [], [])),
        evaluate(World([], [], []), as_indices=True),
    ):
        assert all(math.isnan(x) for x in (result.ap, result.ap50, result.ap25))


def test_large_ids_and_small_types_are_fine():
    arguments = arrays(world([(10, CHAIR, 0), (10, CHAIR, 2**62)], [(SECOND, CHAIR, 0.5)]))
    evaluator = InstanceEvaluator(SCANNET20, min_region=1)
    evaluator.update(**arguments | {"labels": arguments["labels"].astype(np.int8)})
    assert evaluator.compute().ap50 == 1 / 2


def test_protocol_names_label_set_unit_and_min_region():
    assert InstanceEvaluator(SCANNET20).compute().protocol == "scannet20/points/min_region=100"


def test_update_leaves_its_arguments_alone():
    arguments = arrays(world(TWO_CHAIRS, [(FIRST, CHAIR, 0.9)]))
    before = {name: value.copy() for name, value in arguments.items()}
    InstanceEvaluator(SCANNET20, min_region=1).update(**arguments)
    for name, value in arguments.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [4, 20]}, r"labels must lie in \[-1, 19\], got \[4, 20\]"),
        ({"labels": [-2, 4]}, r"labels must lie in \[-1, 19\], got \[-2, 4\]"),
        ({"instances": [-2, 0]}, r"instances must be at least -1, got \[-2, 0\]"),
        ({"instances": [0]}, r"instances must be as many as labels \(2\), got 1"),
        ({"mask_labels": [-1]}, r"mask_labels must lie in \[0, 19\], got \[-1, -1\]"),
        ({"mask_labels": [20]}, r"mask_labels must lie in \[0, 19\], got \[20, 20\]"),
        ({"mask_labels": [4.0]}, "mask_labels must be a vector of integers, got float64"),
        ({"mask_labels": [4, 4]}, "masks, mask_labels and scores must be .* got 1, 2 and 1"),
        ({"scores": [0.5, 0.5]}, "masks, mask_labels and scores must be .* got 1, 1 and 2"),
        ({"masks": []}, "masks, mask_labels and scores must be .* got 0, 1 and 1"),
        ({"scores": [np.nan]}, "scores must be finite, got nan"),
        ({"scores": [np.inf]}, "scores must be finite, got inf"),
        ({"masks": np.ones((1, 2), dtype=np.uint8)}, r"masks must be booleans of shape \(m, 2\)"),
        ({"masks": np.ones((1, 3), dtype=bool)}, r"got bool of shape \(1, 3\)"),
        ({"masks": [np.array([0, 2])]}, r"masks\[0\] must lie in \[0, 1\], got \[0, 2\]"),
        ({"masks": [np.array([-1, 0])]}, r"masks\[0\] must lie in \[0, 1\], got \[-1, 0\]"),
        ({"masks": [np.array([1, 1])]}, r"masks\[0\] must hold distinct indices"),
        (
            {"masks": [np.array([True, False])]},
            r"masks\[0\] must be a vector of integers, got bool",
        ),
    ],
)
def test_rejects_and_keeps_nothing(changes, message):
    arguments = {
        "labels": np.array([CHAIR, CHAIR]),
        "instances": np.array([0, 0]),
        "masks": np.ones((1, 2), dtype=bool),
        "mask_labels": np.array([CHAIR]),
        "scores": np.array([0.5]),
    }
    as_given = {k: v if k == "masks" else np.array(v) for k, v in changes.items()}
    evaluator = InstanceEvaluator(SCANNET20, min_region=1)
    update = inspect.unwrap(InstanceEvaluator.update)  # without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        update(evaluator, **arguments | as_given)
    assert math.isnan(evaluator.compute().ap)


@pytest.mark.parametrize("min_region", [0, -3])
def test_rejects_min_region_below_one(min_region):
    with pytest.raises(ValueError, match=f"min_region must be at least 1, got {min_region}"):
        InstanceEvaluator(SCANNET20, min_region=min_region)
