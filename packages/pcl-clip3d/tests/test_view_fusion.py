"""Tests of pcl_clip3d.view_fusion."""

import inspect
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_clip3d.view_fusion import (
    LEAST_PROBABILITY,
    ViewFusion,
    ViewMean,
    fuse_views,
    mean_features,
    view_agreement,
)

RULES = ("votes", "mean", "log_odds")
N_POINTS, N_CLASSES = 12, 4


def views(seed=0, m=60):
    """Points 0 and 11 are never seen."""
    generator = torch.Generator().manual_seed(seed)
    point_index = 1 + torch.randint(N_POINTS - 2, (m,), generator=generator)
    return point_index, torch.randn(m, N_CLASSES, generator=generator).softmax(dim=1)


def posterior(rows, rule):
    """q of the views of one point, by the equations."""
    if rule == "votes":
        wins = [row.index(max(row)) for row in rows]
        return [wins.count(c) / len(rows) for c in range(N_CLASSES)]
    if rule == "mean":
        return [sum(row[c] for row in rows) / len(rows) for c in range(N_CLASSES)]
    product = [math.prod(max(row[c], 1e-3) for row in rows) for c in range(N_CLASSES)]
    return [value / sum(product) for value in product]


@pytest.mark.parametrize("rule", RULES)
def test_the_equations(rule):
    point_index, probabilities = views()
    fused = fuse_views(point_index, probabilities, N_POINTS, rule=rule)
    for point in range(N_POINTS):
        rows = probabilities[point_index == point].tolist()
        assert fused.n_views[point] == len(rows)
        if not rows:
            assert (fused.labels[point], fused.confidence[point]) == (-1, 0)
            continue
        q = posterior(rows, rule)
        assert fused.labels[point] == q.index(max(q))
        assert float(fused.confidence[point]) == pytest.approx(max(q), rel=1e-5)


def test_log_odds_of_two_classes_add_up():
    p = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])
    fused = fuse_views(torch.zeros(3, dtype=torch.int64), p, 1, rule="log_odds")
    log_odds = sum(math.log(a / b) for a, b in p.tolist())
    assert float(fused.confidence[0]) == pytest.approx(1 / (1 + math.exp(-abs(log_odds))))
    assert fused.labels.tolist() == [int(log_odds < 0)]


def test_a_sure_view_outweighs_two_unsure_ones_and_is_outvoted_by_them():
    p = torch.tensor([[0.99, 0.01], [0.45, 0.55], [0.45, 0.55]])
    labels = {rule: fuse_views(torch.zeros(3).long(), p, 1, rule=rule).labels for rule in RULES}
    assert {rule: int(label) for rule, label in labels.items()} == {
        "votes": 1, "mean": 0, "log_odds": 0
    }  # fmt: skip


def test_no_view_rules_a_class_out():
    p = torch.tensor([[1.0, 0.0]] + [[0.05, 0.95]] * 5)
    fused = fuse_views(torch.zeros(6).long(), p, 1, rule="log_odds")
    odds = math.log(LEAST_PROBABILITY) + 5 * math.log(19)
    assert fused.labels.tolist() == [1]
    assert float(fused.confidence[0]) == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-4)


@pytest.mark.parametrize("rule", RULES)
def test_many_equal_views_stay_finite(rule):
    p = torch.tensor([[0.0, 1.0]]).repeat(10_000, 1)
    fused = fuse_views(torch.zeros(10_000).long(), p, 1, rule=rule)
    assert (fused.labels.tolist(), fused.confidence.tolist()) == ([1], [1.0])


@pytest.mark.parametrize("rule", RULES)
def test_ties_go_to_the_lowest_class(rule):
    p = torch.tensor([[0.0, 0.25, 0.5, 0.25], [0.0, 0.5, 0.25, 0.25], [0, 0.5, 0.5, 0]])
    fused = fuse_views(torch.tensor([0, 0, 1]), p, 2, rule=rule)
    assert fused.labels.tolist() == [1, 1]


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from(RULES))
def test_view_by_view_and_in_any_order_is_the_same(seed, rule):
    point_index, probabilities = views(seed)
    whole = fuse_views(point_index, probabilities, N_POINTS, rule=rule)
    fusion = ViewFusion(N_POINTS, N_CLASSES, rule=rule)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    for part in order.split(7):
        fusion.update(point_index[part], probabilities[part])
    parts = fusion.compute()
    assert torch.equal(parts.n_views, whole.n_views)
    torch.testing.assert_close(parts.confidence, whole.confidence)
    assert ((whole.confidence >= 0) & (whole.confidence <= 1)).all()


@pytest.mark.parametrize("rule", RULES)
def test_no_view_and_no_point(rule):
    nothing = torch.zeros(0, dtype=torch.int64), torch.zeros(0, N_CLASSES)
    fused = fuse_views(*nothing, 3, rule=rule)
    assert (fused.labels.tolist(), fused.n_views.tolist()) == ([-1] * 3, [0] * 3)
    assert fuse_views(*nothing, 0, rule=rule).labels.shape == (0,)


def test_an_answer_does_not_change_with_later_views():
    fusion = ViewFusion(1, 2, rule="mean")
    fusion.update(torch.tensor([0]), torch.tensor([[0.0, 1.0]]))
    first = fusion.compute()
    fusion.update(torch.tensor([0, 0]), torch.tensor([[1.0, 0.0]] * 2))
    assert (first.labels.tolist(), first.n_views.tolist()) == ([1], [1])
    assert (fusion.compute().labels.tolist(), fusion.compute().n_views.tolist()) == ([0], [3])


def test_half_precision_and_short_indices_are_taken():
    point_index, probabilities = views()
    fused = fuse_views(point_index.short(), probabilities.half(), N_POINTS, rule="mean")
    exact = fuse_views(point_index, probabilities, N_POINTS, rule="mean")
    torch.testing.assert_close(fused.confidence, exact.confidence, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([[-0.1, 1.1]], r"probabilities must lie in \[0, 1\], got \[-0.1, 1.1\]"),
        ([[3.0, -2.0]], "probabilities must lie in"),
        ([[math.nan, 0.5]], "probabilities must lie in"),
        ([[0.5, 0.2]], "probabilities must add up to 1 in each row, got 0.7"),
        ([[0.5, 0.3, 0.2]], r"probabilities must have shape \(m, 2\), got \(1, 3\)"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, message):
    fusion = ViewFusion(3, 2, rule="mean")
    with pytest.raises(ValueError, match=message):
        fusion.update(torch.tensor([0]), torch.tensor(probabilities))
    assert fusion.compute().n_views.sum() == 0


@pytest.mark.parametrize("index", [-1, 3])
def test_points_of_another_scene_are_refused(index):
    point_index, message = torch.tensor([index]), r"point_index must lie in \[0, 3\)"
    with pytest.raises(ValueError, match=message):
        fuse_views(point_index, torch.ones(1, 1), 3, rule="votes")
    with pytest.raises(ValueError, match=message):
        mean_features(point_index, torch.ones(1, 1), 3)
    with pytest.raises(ValueError, match=message):
        view_agreement(point_index, torch.tensor([0]), 3, n_classes=2)


def test_rules_and_sizes_that_are_none_are_refused():
    unchecked = inspect.unwrap(ViewFusion.__init__)  # users run without the checks of the tests
    with pytest.raises(ValueError, match=r"rule must be one of \('votes', .*got 'sum'"):
        unchecked(object.__new__(ViewFusion), 3, 2, rule="sum")
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        ViewFusion(3, 0, rule="mean")
    with pytest.raises(ValueError, match="n_points and dim must be at least 0, got -1 and 2"):
        ViewMean(-1, 2)
    with pytest.raises(ValueError, match=r"features must have shape \(m, 2\), got \(1, 3\)"):
        ViewMean(1, 2).update(torch.tensor([0]), torch.ones(1, 3))
    with pytest.raises(ValueError, match="features must be finite"):
        mean_features(torch.tensor([0]), torch.tensor([[math.inf]]), 1)
    with pytest.raises(ValueError, match=r"labels must lie in \[-1, 2\), got \[2, 2\]"):
        view_agreement(torch.tensor([0]), torch.tensor([2]), 1, n_classes=2)


def test_mean_features_are_means_and_zero_where_nothing_is_seen():
    point_index, features = views()
    means = mean_features(point_index, features, N_POINTS)
    for point in range(N_POINTS):
        rows = features[point_index == point]
        expected = rows.mean(dim=0) if len(rows) else torch.zeros(N_CLASSES)
        torch.testing.assert_close(means[point], expected)


def test_agreement_is_the_share_of_the_most_frequent_label():
    point_index, probabilities = views(m=200)
    labels = probabilities.argmax(dim=1)
    labels[::5] = -1
    shares = view_agreement(point_index, labels, N_POINTS, n_classes=N_CLASSES)
    for point in range(N_POINTS):
        said = Counter(labels[(point_index == point) & (labels >= 0)].tolist())
        expected = max(said.values()) / said.total() if said else 0
        assert float(shares[point]) == pytest.approx(expected)


def test_agreement_without_points_or_with_views_that_say_nothing():
    nothing = torch.zeros(0, dtype=torch.int64)
    assert view_agreement(nothing, nothing, 0, n_classes=3).shape == (0,)
    assert view_agreement(torch.tensor([1]), torch.tensor([-1]), 2, n_classes=3).tolist() == [0, 0]
