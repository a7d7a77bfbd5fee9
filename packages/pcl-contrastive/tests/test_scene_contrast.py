"""Tests of pcl_contrastive.scene_contrast."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_contrastive.scene_contrast import byol_loss, scene_info_nce


def random_rows(n: int, *, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, generator=generator, dtype=torch.float64)


def unit(vector: torch.Tensor) -> list[float]:
    values = vector.tolist()
    length = math.sqrt(sum(v * v for v in values))
    return [v / length for v in values]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 8))
def test_scene_loss_is_that_of_a_loop(seed, b, q):
    queries, keys = random_rows(b, seed=seed), random_rows(b, seed=seed + 1)
    queue = random_rows(q, seed=seed + 2)
    losses = []
    for query, key in zip(queries, keys, strict=True):
        positive = math.exp(dot(unit(query), unit(key)) / 0.2)
        negatives = sum(math.exp(dot(unit(query), unit(entry)) / 0.2) for entry in queue)
        losses.append(-math.log(positive / (positive + negatives)))
    loss = scene_info_nce(queries, keys, queue, temperature=0.2)
    assert math.isclose(float(loss), sum(losses) / b, rel_tol=1e-9)


def test_identical_features_give_the_logarithm_of_the_number_of_classes():
    same = torch.ones(4, 3, dtype=torch.float64)
    loss = scene_info_nce(same, same, same[:1].repeat(9, 1))
    assert math.isclose(float(loss), math.log(10))


def test_a_low_temperature_does_not_overflow():
    queries = torch.eye(3)
    loss = scene_info_nce(queries, -queries, queries, temperature=1e-3)
    assert math.isclose(float(loss), 2000, rel_tol=1e-5)


def test_gradient_of_the_scene_loss():
    queries = random_rows(3, seed=0).requires_grad_()
    keys, queue = random_rows(3, seed=1), random_rows(4, seed=2)
    assert torch.autograd.gradcheck(lambda x: scene_info_nce(x, keys, queue), queries)


def test_keys_and_queue_get_no_gradient():
    queries, keys, queue = (random_rows(3, seed=seed).requires_grad_() for seed in range(3))
    scene_info_nce(queries, keys, queue).backward()
    assert queries.grad is not None
    assert keys.grad is None
    assert queue.grad is None


def test_no_query_gives_zero_attached():
    queries = torch.zeros(0, 3, requires_grad=True)
    loss = scene_info_nce(queries, queries, torch.ones(2, 3))
    loss.backward()
    assert loss == 0
    assert queries.grad.shape == (0, 3)


def test_an_empty_queue_is_refused():
    with pytest.raises(ValueError, match=r"queue must hold a feature, got shape \(0, 3\)"):
        scene_info_nce(torch.ones(1, 3), torch.ones(1, 3), torch.ones(0, 3))


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        scene_info_nce(torch.ones(1, 3), torch.ones(1, 3), torch.ones(1, 3), temperature=0.0)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_byol_loss_is_that_of_a_loop(seed, m):
    predictions, targets = random_rows(m, seed=seed), random_rows(m, seed=seed + 1)
    losses = []
    for prediction, target in zip(predictions, targets, strict=True):
        pairs = zip(unit(prediction), unit(target), strict=True)
        losses.append(sum((a - b) ** 2 for a, b in pairs))
    assert math.isclose(float(byol_loss(predictions, targets)), sum(losses) / m, rel_tol=1e-9)


@pytest.mark.parametrize(("target", "expected"), [([5.0, 0.0], 0.0), ([-2.0, 0.0], 4.0)])
def test_byol_loss_depends_on_the_angle_alone(target, expected):
    assert byol_loss(torch.tensor([[3.0, 0.0]]), torch.tensor([target])) == expected


def test_gradient_of_the_byol_loss_reaches_the_predictions_alone():
    predictions, targets = (random_rows(3, seed=seed).requires_grad_() for seed in range(2))
    assert torch.autograd.gradcheck(lambda x: byol_loss(x, targets.detach()), predictions)
    byol_loss(predictions, targets).backward()
    assert targets.grad is None


def test_no_row_gives_zero_attached():
    predictions = torch.zeros(0, 3, requires_grad=True)
    loss = byol_loss(predictions, torch.zeros(0, 3))
    loss.backward()
    assert loss == 0
