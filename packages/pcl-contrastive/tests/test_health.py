"""Tests of pcl_contrastive.health."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from pcl_contrastive.health import RepresentationHealth, representation_health

SHARP, SOFT = 0.05, 0.4  # temperatures


def random_pairs(seed: int, n: int, c: int, noise: float = 1.0):
    generator = torch.Generator().manual_seed(seed)
    queries, other = torch.randn(2, n, c, generator=generator).double()
    return queries, queries + noise * other


def simplex(n: int) -> torch.Tensor:
    """n unit rows whose products are all -1 / (n - 1)."""
    return normalize(torch.eye(n).double() - 1 / n)


def by_loops(queries, keys, temperature) -> dict[str, float]:
    """Every figure but the effective rank, from its definition."""
    n = len(queries)
    q = [[v / math.hypot(*row) for v in row] for row in queries.tolist()]
    k = [[v / math.hypot(*row) for v in row] for row in keys.tolist()]
    s = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in k] for a in q]
    spread = [math.exp(-2 * math.dist(q[i], q[j]) ** 2) for i in range(n) for j in range(i)]
    rank, hits, loss = 0.0, 0, 0.0
    for i in range(n):
        others = [s[i][j] for j in range(n) if j != i]
        rank += sum(other > s[i][i] for other in others) / (n - 1)
        hits += all(other < s[i][i] for other in others)
        terms = [math.exp(value / temperature) for value in s[i]]
        loss -= math.log(terms[i] / sum(terms))
    return {
        "uniformity": math.log(sum(spread) / len(spread)),
        "alignment": sum(math.dist(a, b) ** 2 for a, b in zip(q, k, strict=True)) / n,
        "mean_rank": rank / n,
        "accuracy": hits / n,
        "loss": loss / n,
        "chance": math.log(n),
    }


@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(1, 5), st.sampled_from([0.07, 0.4]))
def test_figures_are_those_of_loops(seed, n, c, temperature):
    queries, keys = random_pairs(seed, n, c)
    if c == 1:  # products of +-1: ties are the next test's
        queries, keys = (torch.cat([rows, rows + 3], dim=1) for rows in (queries, keys))
    health = representation_health(queries, keys, temperature=temperature)
    for name, value in by_loops(queries, keys, temperature).items():
        assert getattr(health, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_ties_count_half_a_rank_and_no_hit():
    """Row 0: key 1 is as near as its positive. Row 1: both others are nearer. Row 2: neither."""
    x, _, z = torch.eye(3).double().unbind()
    queries, keys = torch.stack([x, -z, z]), torch.stack([x, x, z])
    # products: [1, 1, 0], [0, 0, -1], [0, 0, 1]
    health = representation_health(queries, keys, temperature=1.0)
    assert health.mean_rank == pytest.approx((0.5 + 0.5 + 0) / 3 / 2)
    assert health.accuracy == pytest.approx(1 / 3)


def test_equal_rows_rank_in_the_middle():
    """Products of 50 equal rows differ by their rounding, which is no rank."""
    rows = torch.ones(50, 8)
    health = representation_health(rows, rows, temperature=SOFT)
    assert health.mean_rank == 0.5
    assert health.accuracy == 0
    assert health.loss == pytest.approx(health.chance)


def test_effective_rank_of_known_spectra():
    def rank(rows: torch.Tensor) -> float:
        return representation_health(rows, rows, temperature=1.0).effective_rank

    assert rank(torch.eye(5)) == pytest.approx(5)
    assert rank(torch.ones(5, 3)) == pytest.approx(1)
    assert rank(torch.zeros(5, 3)) == pytest.approx(1)
    # nine rows along x and one along y: singular values 3 and 1, shares 3/4 and 1/4
    unequal = torch.tensor([[1.0, 0, 0]] * 9 + [[0, 1, 0]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert rank(unequal) == pytest.approx(math.exp(entropy))


def test_uniformity_and_alignment_of_known_rows():
    """Orthogonal rows are sqrt 2 apart, opposite ones 2."""
    health = representation_health(torch.eye(4), -torch.eye(4), temperature=1.0)
    assert health.uniformity == pytest.approx(-4)
    assert health.alignment == pytest.approx(4)
    line = torch.tensor([[1.0], [-1.0]])
    assert representation_health(line, line, temperature=1.0).uniformity == pytest.approx(-8)


@pytest.mark.parametrize("n", [2, 3, 17])
@pytest.mark.parametrize("temperature", [0.07, 0.4, 2.0])
def test_a_simplex_reaches_the_floor(n, temperature):
    rows = simplex(n)
    health = representation_health(rows, rows, temperature=temperature)
    assert health.loss == pytest.approx(health.floor, abs=1e-12)
    assert health.progress == pytest.approx(1)


@given(
    st.integers(0, 10_000),
    st.integers(2, 12),
    st.integers(1, 12),
    st.sampled_from([0.05, 0.4, 3.0]),
    st.sampled_from([0.0, 0.1, 1.0]),
)
def test_no_loss_is_below_the_floor(seed, n, c, temperature, noise):
    """Also near the simplex, where a floor too high would show."""
    queries, keys = random_pairs(seed, n, c, noise)
    assert_above_floor(queries, keys, temperature)
    queries, keys = (simplex(n) + 0.1 * noise * torch.randn(2, n, n)).double()
    assert_above_floor(queries, keys, temperature)


def assert_above_floor(queries, keys, temperature):
    health = representation_health(queries, keys, temperature=temperature)
    assert health.loss >= health.floor - 1e-12


@given(st.integers(0, 10_000))
def test_order_length_and_rotation_of_rows_do_not_matter(seed):
    queries, keys = random_pairs(seed, 12, 5)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(12, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator).double())
    length = 0.1 + torch.rand(12, 1, generator=generator)
    before = representation_health(queries, keys, temperature=SOFT)
    after = representation_health(
        (length * queries @ turn)[order], (keys @ turn)[order], temperature=SOFT
    )
    for name, value in vars(before).items():
        assert getattr(after, name) == pytest.approx(value, abs=1e-9), name


def test_pairs_beyond_max_rows_are_drawn_together():
    queries, _ = random_pairs(0, 100, 64)

    def health(seed: int) -> RepresentationHealth:
        generator = torch.Generator().manual_seed(seed)
        return representation_health(
            queries, queries, temperature=SOFT, max_rows=10, generator=generator
        )

    assert health(0).chance == math.log(10)
    assert health(0).alignment == 0  # a key still belongs to its query
    assert health(0).effective_rank > 9  # ten different rows
    assert health(0) == health(0) != health(1)
    whole = representation_health(queries, queries, temperature=SOFT, max_rows=100)
    assert whole.chance == math.log(100)


def test_half_precision_and_gradients_are_taken():
    queries, keys = (rows.half().requires_grad_() for rows in random_pairs(0, 6, 4))
    health = representation_health(queries, keys, temperature=SOFT)
    assert health == representation_health(queries.double(), keys.double(), temperature=SOFT)
    assert all(type(value) is float for value in vars(health).values())


def test_verdict_of_equal_features_is_collapsed():
    rows = torch.ones(64, 8)
    verdict = representation_health(rows, rows, temperature=SOFT).verdict()
    assert verdict.startswith("collapsed: the queries point one way (effective rank 1.0")
    assert verdict.endswith("the loss is 4.16 where chance is 4.16")


def test_verdict_of_two_opposite_directions_is_collapsed():
    """Spread out, but in one of 8 channels."""
    rows = torch.ones(64, 8) * torch.tensor([1.0, -1.0]).repeat(32)[:, None]
    health = representation_health(rows, rows, temperature=SOFT)
    assert health.uniformity < -0.5
    assert health.verdict().startswith("collapsed")


def test_verdict_of_features_in_a_narrow_cone_is_collapsed():
    """Products of 0.99: many singular values, positives nearest, and yet no loss to speak of."""
    queries, _ = random_pairs(0, 256, 64)
    queries = normalize(queries) + 10 * torch.ones(64).double() / 8
    health = representation_health(queries, queries, temperature=SOFT)
    assert health.effective_rank > 1.5
    assert health.accuracy == 1
    assert health.verdict().startswith("collapsed")


def test_verdict_at_the_floor():
    """4,000 pairs in agreement, spread at random over 32 channels, at CSC's temperature."""
    queries, keys = random_pairs(0, 4000, 32, noise=0.01)
    health = representation_health(queries, keys, temperature=SOFT)
    assert health.loss > 0.6 * health.chance  # far from 0, and there is no more to get
    assert health.verdict().startswith("at its floor: the loss 5.89 can hardly fall below 5.80")


def test_verdict_of_unrelated_pairs():
    queries, _ = random_pairs(0, 256, 32)
    keys, _ = random_pairs(1, 256, 32)
    for temperature in (SHARP, SOFT):
        verdict = representation_health(queries, keys, temperature=temperature).verdict()
        assert verdict.startswith("positives cannot be told from other keys")


def test_verdict_while_learning():
    queries, keys = random_pairs(0, 256, 32, noise=2.0)
    for temperature in (SHARP, SOFT):
        health = representation_health(queries, keys, temperature=temperature)
        assert health.verdict().startswith("learning: ")
    assert health.progress == pytest.approx(
        (health.chance - health.loss) / (health.chance - health.floor)
    )


@pytest.mark.parametrize(
    ("n", "value", "options", "message"),
    [
        (1, 1.0, {}, "queries must have at least 2 rows, got 1"),
        (0, 1.0, {}, "queries must have at least 2 rows, got 0"),
        (3, 1.0, {"max_rows": 1}, "max_rows must be at least 2, got 1"),
        (3, 1.0, {"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        (3, 1.0, {"temperature": math.nan}, "temperature must be positive and finite, got nan"),
        (3, 1.0, {"temperature": math.inf}, "temperature must be positive and finite, got inf"),
        (3, math.nan, {}, "keys must be finite, got NaN or infinity"),
    ],
)
def test_rejects(n, value, options, message):
    with pytest.raises(ValueError, match=message):
        representation_health(
            torch.ones(n, 2), torch.full((n, 2), value), **{"temperature": SOFT, **options}
        )


def test_rejects_queries_that_are_not_finite():
    with pytest.raises(ValueError, match="queries must be finite, got NaN or infinity"):
        representation_health(torch.full((3, 2), math.inf), torch.ones(3, 2), temperature=SOFT)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_equals_cpu():
    queries, keys = random_pairs(0, 50, 8)
    before = representation_health(queries, keys, temperature=SOFT)
    after = representation_health(queries.cuda(), keys.cuda(), temperature=SOFT)
    for name, value in vars(before).items():
        assert getattr(after, name) == pytest.approx(value, abs=1e-9), name
    generator = torch.Generator().manual_seed(0)  # on the CPU
    representation_health(
        queries.cuda(), keys.cuda(), temperature=SOFT, max_rows=10, generator=generator
    )
