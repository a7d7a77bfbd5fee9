"""Tests of pcl_contrastive.point_contrast."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_contrastive.point_contrast import (
    hardest_contrastive_loss,
    point_info_nce,
    sample_matches,
)


def unit(features) -> list[list[float]]:
    rows = features.double().tolist()
    return [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in rows]


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def random_features(seed, *shape) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double)


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([0.01, 0.4, 3.0]))
def test_point_info_nce_is_its_equation(seed, n, temperature):
    queries, keys = random_features(seed, 2, n, 4)
    loss, rows = 0.0, unit(keys)
    for query, positive in zip(unit(queries), rows, strict=True):
        # Relative to the positive, whose own exponential is then 1.
        start = dot(query, positive)
        loss += math.log(sum(math.exp((dot(query, k) - start) / temperature) for k in rows)) / n
    found = point_info_nce(queries, keys, temperature=temperature)
    assert found.item() == pytest.approx(loss, abs=1e-10)


def test_equal_features_give_the_log_of_the_number_of_rows():
    loss = point_info_nce(torch.ones(8, 3), torch.ones(8, 3), temperature=0.4)
    assert_close(loss, torch.tensor(math.log(8)))


def test_distinct_features_reach_the_floor():
    loss = point_info_nce(torch.eye(8), torch.eye(8), temperature=0.1)
    assert_close(loss, torch.tensor(math.log(1 + 7 * math.exp(-10))), rtol=1e-3, atol=0)


def test_only_queries_search():
    queries, keys = random_features(0, 2, 7, 4)
    there = point_info_nce(queries, keys, temperature=0.4)
    assert abs(there - point_info_nce(keys, queries, temperature=0.4)) > 1e-3


@given(st.integers(0, 10_000))
def test_point_info_nce_ignores_order_length_and_rotation(seed):
    queries, keys = random_features(seed, 2, 7, 4)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    rotation, _ = torch.linalg.qr(random_features(seed, 4, 4))
    loss = point_info_nce(queries, keys, temperature=0.4)
    moved = (3 * queries[order] @ rotation, keys[order] @ rotation / 7)
    assert_close(point_info_nce(*moved, temperature=0.4), loss)


def test_point_info_nce_gradient():
    inputs = tuple(random_features(0, 2, 5, 3).requires_grad_().unbind())
    assert torch.autograd.gradcheck(lambda q, k: point_info_nce(q, k, temperature=0.4), inputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float])
def test_point_info_nce_under_autocast_is_single_precision(dtype):
    queries, keys = random_features(0, 2, 40, 8).to(dtype)
    expected = point_info_nce(queries.float(), keys.float(), temperature=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        found = point_info_nce(queries, keys, temperature=0.1)
    assert found.dtype == torch.float
    assert_close(found, expected, rtol=1e-6, atol=0)


def test_one_row_has_no_loss():
    assert point_info_nce(torch.ones(1, 3), -torch.ones(1, 3), temperature=0.1) == 0


def test_point_info_nce_rejects():
    with pytest.raises(ValueError, match=r"queries must have at least one row, got shape \(0, 3\)"):
        point_info_nce(torch.zeros(0, 3), torch.zeros(0, 3), temperature=0.4)
    for temperature in (0.0, -0.4, math.nan):
        with pytest.raises(ValueError, match="temperature must be positive, got"):
            point_info_nce(torch.ones(1, 3), torch.ones(1, 3), temperature=temperature)


def reference_hardest(features_a, features_b, matches, positive_margin, negative_margin):
    """The equation with all matches as positives and all points as candidates."""
    a, b = unit(features_a), unit(features_b)
    pairs = [tuple(pair) for pair in matches.tolist()]

    def mean(values):
        return sum(values) / len(values) if values else 0.0

    positive = mean([max(math.dist(a[i], b[j]) - positive_margin, 0) ** 2 for i, j in pairs])
    from_a, from_b = [], []
    for i, j in pairs:
        others = [math.dist(a[i], b[k]) for k in range(len(b)) if (i, k) not in pairs]
        from_a += [max(negative_margin - min(others), 0) ** 2] if others else []
        others = [math.dist(b[j], a[k]) for k in range(len(a)) if (k, j) not in pairs]
        from_b += [max(negative_margin - min(others), 0) ** 2] if others else []
    return positive, (mean(from_a) + mean(from_b)) / 2


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6), st.integers(1, 9))
def test_hardest_contrastive_loss_is_its_equation(seed, n, m, k):
    features_a, features_b = random_features(seed, n, 3), random_features(seed + 1, m, 3)
    generator = torch.Generator().manual_seed(seed)
    matches = torch.stack([torch.randint(size, (k,), generator=generator) for size in (n, m)], 1)
    found = hardest_contrastive_loss(
        features_a, features_b, matches, positive_margin=0.3, negative_margin=1.2
    )
    positive, negative = reference_hardest(features_a, features_b, matches, 0.3, 1.2)
    assert found.positive.item() == pytest.approx(positive, abs=1e-10)
    assert found.negative.item() == pytest.approx(negative, abs=1e-10)
    assert found.loss.item() == pytest.approx(positive + negative, abs=1e-10)


def test_hardest_contrastive_loss_by_hand():
    # Distances of unit vectors: sqrt 2 at a right angle, 2 opposite.
    a = torch.tensor([[2.0, 0], [0, 1]])
    b = torch.tensor([[0, 3.0], [-1, 0]])
    found = hardest_contrastive_loss(a, b, torch.tensor([[0, 0]]), negative_margin=2.0)
    assert_close(found.positive, torch.tensor((math.sqrt(2) - 0.1) ** 2))
    # a0 is 2 from b1; b0 is 0 from a1.
    assert_close(found.negative, torch.tensor((0.0 + 4.0) / 2))


def test_a_match_is_no_negative():
    features, everything = torch.ones(2, 3), torch.cartesian_prod(torch.arange(2), torch.arange(2))
    found = hardest_contrastive_loss(features, features, everything, n_positives=1)
    assert found.loss == 0


def test_one_candidate_is_drawn_of_each_view():
    # Row i matches i + 1. The candidate is at distance 0 from the anchor of its own axis, beyond
    # the margin from the others, and the match of one of the eight anchors, which is left out.
    matches = torch.stack([torch.arange(8), (torch.arange(8) + 1) % 8], 1)
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        found = hardest_contrastive_loss(
            torch.eye(8), torch.eye(8), matches, n_candidates=1, generator=generator
        )
        assert_close(found.negative, torch.tensor(1.4**2 / 7))


def test_one_match_is_drawn():
    # The first match is at distance 0, the others at 2: a mean would lie between.
    features, matches = torch.eye(8), torch.arange(8)[:, None].repeat(1, 2)
    opposite = torch.cat([features[:1], -features[1:]])
    found = {
        round(
            hardest_contrastive_loss(
                features,
                opposite,
                matches,
                n_positives=1,
                generator=torch.Generator().manual_seed(seed),
            ).positive.item(),
            2,
        )
        for seed in range(40)
    }
    assert found == {0.0, 3.61}  # (2 - 0.1) ** 2


def test_the_generator_decides_the_loss():
    features_a, features_b = random_features(0, 2, 60, 4)
    matches = torch.arange(60)[:, None].repeat(1, 2)
    one, same, other = (
        hardest_contrastive_loss(
            features_a,
            features_b,
            matches,
            n_positives=5,
            n_candidates=5,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one.positive != other.positive
    assert one.negative != other.negative


def test_hardest_contrastive_gradient():
    inputs = random_features(0, 5, 3).requires_grad_(), random_features(1, 6, 3).requires_grad_()
    matches = torch.tensor([[0, 1], [0, 2], [3, 3], [4, 0]])
    assert torch.autograd.gradcheck(
        lambda a, b: hardest_contrastive_loss(a, b, matches, negative_margin=1.9).loss, inputs
    )


def test_gradient_is_finite_where_features_coincide():
    features = torch.ones(4, 3, requires_grad=True)
    matches = torch.arange(4)[:, None].repeat(1, 2)
    found = hardest_contrastive_loss(features, features, matches, positive_margin=0.0)
    found.loss.backward()
    assert features.grad.isfinite().all()
    assert_close(found.negative.detach(), torch.tensor(1.4**2))


def test_hardest_contrastive_loss_rejects():
    features, matches = torch.ones(3, 2), torch.zeros(1, 2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"matches must have at least one row, got shape \(0, 2\)"):
        hardest_contrastive_loss(features, features, matches[:0])
    for name in ("n_positives", "n_candidates"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            hardest_contrastive_loss(features, features, matches, **{name: 0})


@given(st.integers(0, 10_000), st.integers(0, 30), st.integers(1, 12))
def test_sampled_matches_are_matches_of_distinct_rows(seed, k, n_matches):
    generator = torch.Generator().manual_seed(seed)
    matches = torch.randint(10, (k, 2), generator=generator)
    sampled = sample_matches(matches, n_matches, generator=generator)
    rows = sampled[:, 0]
    assert len(sampled) == min(n_matches, len(matches[:, 0].unique()))
    assert (rows[1:] > rows[:-1]).all()
    assert {tuple(pair) for pair in sampled.tolist()} <= {tuple(pair) for pair in matches.tolist()}


def test_each_key_and_each_row_is_drawn_as_often():
    matches = torch.tensor([[2, 5], [0, 1], [2, 6], [1, 3], [2, 7], [0, 2]])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([sample_matches(matches, 2, generator=generator) for _ in range(3000)])
    rows = drawn[:, 0].bincount() / 3000
    assert_close(rows, torch.full((3,), 2 / 3), atol=0.03, rtol=0)  # three standard deviations
    for row, n_keys in ((0, 2), (1, 1), (2, 3)):
        counts = drawn[drawn[:, 0] == row, 1].bincount()
        shares = counts[counts > 0] / counts.sum()
        assert_close(shares, torch.full((n_keys,), 1 / n_keys), atol=0.04, rtol=0)


def test_sample_matches_rejects():
    with pytest.raises(ValueError, match="n_matches must be at least 1, got 0"):
        sample_matches(torch.zeros(1, 2, dtype=torch.long), 0)
