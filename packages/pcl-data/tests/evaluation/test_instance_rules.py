"""Rules of pcl_data.evaluation.instance, one case each."""

import dataclasses
import inspect
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from pcl_data.evaluation import InstanceEvaluator
from pcl_data.evaluation.instance import OVERLAPS
from pcl_data.label_set import SCANNET20

sys.path.insert(0, str(Path(__file__).parent))
from instance_worlds import BED, CHAIR, UNLABELED, WALL, World, arrays, chair, evaluate, world

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
    for label, instance in [(WALL, 2), (UNLABELED, 2), (UNLABELED, -1), (CHAIR, -1)]:
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
