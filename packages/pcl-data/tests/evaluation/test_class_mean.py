"""Tests of pcl_data.evaluation.class_mean, and of the scores of frequencies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.datasets import ScanNet
from pcl_data.evaluation import InstanceEvaluator, SemanticEvaluator
from pcl_data.evaluation.class_mean import class_mean, frequency_means
from pcl_data.label_set import SCANNET20, SCANNET200

FREQUENCIES = ("head", "common", "tail")
HEAD, COMMON, TAIL = (SCANNET200.names.index(name) for name in ("chair", "keyboard", "candle"))
WALL = SCANNET200.names.index("wall")
classes = st.lists(
    st.tuples(st.sampled_from(FREQUENCIES), st.sampled_from([math.nan, 0.0, 0.25, 0.5, 1.0])),
    max_size=12,
)


@given(classes)
def test_a_mean_is_over_the_classes_of_a_frequency_that_have_a_value(rows):
    frequency, values = [one for one, _ in rows], np.array([value for _, value in rows])
    found = frequency_means({"ap": values}, frequency)
    assert list(found) == ["ap_head", "ap_common", "ap_tail"]
    for one in FREQUENCIES:
        known = [value for own, value in rows if own == one and not math.isnan(value)]
        expected = sum(known) / len(known) if known else math.nan
        np.testing.assert_equal(found[f"ap_{one}"], expected)  # sums of quarters are exact


@given(classes.filter(lambda rows: any(value == value for _, value in rows)))
def test_means_weighted_by_their_classes_give_the_mean_over_all(rows):
    frequency, values = np.array([one for one, _ in rows]), np.array([value for _, value in rows])
    found = frequency_means({"ap": values}, frequency.tolist())
    counts = [int((~np.isnan(values[frequency == one])).sum()) for one in FREQUENCIES]
    parts = [n * found[f"ap_{one}"] for n, one in zip(counts, FREQUENCIES, strict=True) if n]
    assert sum(parts) / sum(counts) == pytest.approx(class_mean(values), abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_no_class_and_no_frequency():
    assert class_mean(np.array([])) != class_mean(np.array([]))  # NaN, without a warning
    assert set(map(math.isnan, frequency_means({"ap": np.array([])}, []).values())) == {True}
    assert frequency_means({"ap": np.array([0.5])}, None) == {}


def test_instances_are_scored_by_frequency():
    """A chair found, one of two keyboards found, a candle missed; the wall is no instance."""
    evaluator = InstanceEvaluator(SCANNET200, min_region=1)
    evaluator.update(
        labels=np.repeat([HEAD, COMMON, COMMON, TAIL, WALL], 4),
        instances=np.repeat([0, 1, 2, 3, 4], 4),
        masks=[np.arange(4), np.arange(4, 8)],
        mask_labels=np.array([HEAD, COMMON]),
        scores=np.array([0.9, 0.8]),
    )
    result = evaluator.compute()
    assert result.by_frequency == {
        f"{name}_{one}": value
        for name in ("ap", "ap50", "ap25")
        for one, value in zip(FREQUENCIES, (1.0, 0.5, 0.0), strict=True)
    }
    assert result.ap50 == 0.5
    assert str(result).endswith("ap25_common 0.5000, ap25_tail 0.0000")


def test_classes_are_scored_by_frequency():
    """Walls are a head class; half of the keyboard is a candle by mistake."""
    evaluator = SemanticEvaluator(SCANNET200)
    evaluator.update(np.array([WALL, HEAD, COMMON, COMMON]), np.array([WALL, HEAD, COMMON, TAIL]))
    result = evaluator.compute()
    assert result.by_frequency == {"miou_head": 1.0, "miou_common": 0.5, "miou_tail": 0.0}
    assert result.miou == (1 + 1 + 0.5 + 0) / 4


def test_without_frequencies_there_is_nothing_more():
    for evaluator in (InstanceEvaluator(SCANNET20), SemanticEvaluator(SCANNET20)):
        result = evaluator.compute()
        assert result.by_frequency == {}
        assert "_head" not in str(result)


@pytest.mark.real
def test_a_real_scan_has_classes_of_each_frequency(real_data):
    """Without one of its tail classes the tail is what loses; the truth itself scores one."""
    scan = ScanNet(real_data / "scannet", split="scene0000_00", label_set=SCANNET200)[0]
    ids = np.unique(scan.instances[scan.instances >= 0])
    labels = np.array([scan.labels[scan.instances == i][0] for i in ids])
    sizes = np.bincount(scan.instances[scan.instances >= 0])[ids]
    is_tail = np.array(SCANNET200.frequency)[labels] == "tail"
    missed = labels[is_tail & (sizes >= 100)][0]
    found = []
    for kept in (labels >= 0, (labels >= 0) & (labels != missed)):
        evaluator = InstanceEvaluator(SCANNET200)
        masks = scan.instances == ids[kept, None]
        evaluator.update(scan.labels, scan.instances, masks, labels[kept], np.ones(kept.sum()))
        found.append(evaluator.compute().by_frequency)
    assert set(found[0].values()) == {1.0}
    assert (found[1]["ap_head"], found[1]["ap_common"]) == (1.0, 1.0)
    assert 0 < found[1]["ap_tail"] < 1
