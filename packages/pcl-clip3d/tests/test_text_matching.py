import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_clip3d.text_matching import query_points, text_logits


def rows(n: int, seed: int = 0, d: int = 6) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_logits_are_inner_products():
    points, text = rows(3), rows(4, seed=1)
    expected = [[sum((a * b).tolist()) for b in text] for a in points]
    torch.testing.assert_close(text_logits(points, text), torch.tensor(expected))


def test_features_of_another_length_than_the_text_are_refused():
    with pytest.raises(ValueError, match="text_features must have shape"):
        text_logits(rows(3), rows(2, d=5))


def test_relevance_is_its_equation():
    points, query, others = rows(4), rows(1, seed=1)[0], rows(3, seed=2)
    found = query_points(points, query, others, temperature=0.2)
    for point, relevance in zip(points, found, strict=True):
        f = point / point.norm()
        a = math.exp(float(f @ query / query.norm()) / 0.2)
        b = [math.exp(float(f @ other / other.norm()) / 0.2) for other in others]
        assert float(relevance) == pytest.approx(min(a / (a + one) for one in b), rel=1e-4)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_lengths_do_not_matter(first, second):
    points, query, others = rows(4), rows(1, seed=1)[0], rows(3, seed=2)
    scaled = query_points(points * first, query * second, others * first)
    torch.testing.assert_close(scaled, query_points(points, query, others), atol=1e-5, rtol=0)


def test_points_that_nobody_has_seen_fit_nothing():
    assert query_points(torch.zeros(2, 6), rows(1)[0], rows(1, seed=1)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negatives": torch.zeros(0, 6)}, "negatives must hold at least one phrase, got 0"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0"),
    ],
)
def test_a_query_without_a_measure_is_refused(arguments, message):
    good = {"negatives": rows(2), "temperature": 0.1}
    with pytest.raises(ValueError, match=message):
        query_points(rows(3), rows(1)[0], **{**good, **arguments})
