import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_calibration.temperature_scaling import TemperatureScaling
from pcl_calibration.vector_scaling import VectorScaling


def sample(n, n_classes, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    labels = (logits / 2).softmax(dim=1).multinomial(1, generator=generator)[:, 0]
    labels[:n_classes] = torch.arange(n_classes)
    return logits, labels


def loss(logits, labels, weight, bias):
    """Mean of -log softmax(w z + b) at the label."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        scaled = [w * z + b for w, z, b in zip(weight, row, bias, strict=True)]
        total -= scaled[label] - math.log(sum(math.exp(z) for z in scaled))
    return total / len(logits)


def test_weight_and_bias_are_the_best_of_a_grid():
    logits, labels = sample(30, 2, seed=3)
    scaling = VectorScaling().fit(logits, labels)
    steps = [-0.25, 0.0, 0.25]
    (w0, w1), bias = scaling.weight_.tolist(), scaling.bias_.tolist()
    grid = itertools.product(steps, steps, steps)
    losses = [loss(logits, labels, (w0 + i, w1 + j), (bias[0] + k, bias[1])) for i, j, k in grid]
    assert scaling.nll_after_ == pytest.approx(losses[13])  # the middle
    assert losses[13] == min(losses)
    assert scaling.nll_before_ == pytest.approx(loss(logits, labels, (1, 1), (0, 0)))


def test_the_derivatives_of_the_likelihood_vanish():
    """Mean over rows of (p - y) z and of (p - y), which is zero at the one minimum."""
    logits, labels = sample(60, 3)
    scaling = VectorScaling().fit(logits, labels)
    excess = scaling.transform(logits) - torch.eye(3, dtype=torch.float64)[labels]
    assert (excess * logits).mean(dim=0).abs().max() < 1e-5
    assert excess.mean(dim=0).abs().max() < 1e-5


def test_the_argmax_can_change_for_the_better():
    """Equal logits, of which two in three are of class 1: p = (1/3, 2/3)."""
    logits = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    scaling = VectorScaling().fit(logits, torch.tensor([0, 1, 1, 1]))
    assert (scaling.accuracy_before_, scaling.accuracy_after_) == (0.5, 0.75)
    wanted = torch.tensor([1 / 3, 2 / 3])
    assert torch.allclose(scaling.transform(logits)[0], wanted, atol=1e-4)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_likelihood_is_never_below_that_of_one_temperature(seed, n_classes):
    logits, labels = sample(25, n_classes, seed=seed)
    scaling = VectorScaling().fit(logits, labels)
    one = TemperatureScaling().fit(logits, labels)
    assert scaling.nll_after_ <= one.nll_after_ + 1e-6  # both stop near their minimum
    assert scaling.nll_before_ == one.nll_before_
    assert torch.allclose(scaling.transform(logits).sum(dim=1), torch.ones(25).double())


def test_rows_without_a_label_are_ignored():
    logits, labels = sample(30, 3)
    more = torch.cat([100 * logits, logits])
    without = torch.cat([torch.full((30,), -1), labels])
    one, other = (VectorScaling().fit(*data) for data in [(logits, labels), (more, without)])
    assert torch.equal(one.parameters_, other.parameters_)


def test_no_rows_become_no_rows():
    assert VectorScaling().fit(*sample(9, 3)).transform(torch.empty(0, 3)).shape == (0, 3)


def test_fit_returns_the_estimator_and_transform_needs_it():
    logits, labels = sample(9, 3)
    scaling = VectorScaling()
    with pytest.raises(ValueError, match="VectorScaling must be fitted before transform"):
        scaling.transform(logits)
    assert scaling.fit(logits, labels) is scaling


def test_a_class_without_a_label_is_named():
    with pytest.raises(ValueError, match=r"labels must hold every class, got none of \[1, 3\]"):
        VectorScaling().fit(torch.zeros(3, 4), torch.tensor([0, 2, -1]))


def test_other_classes_than_those_of_the_fit_are_refused():
    with pytest.raises(ValueError, match="logits must have 3 classes, got 4"):
        VectorScaling().fit(*sample(9, 3)).transform(torch.zeros(2, 4))


def test_bad_input_gets_one_clear_error():
    with pytest.raises(ValueError, match="at least 2 classes"):
        VectorScaling().fit(torch.zeros(2, 1), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="labels must lie in"):
        VectorScaling().fit(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="logits must be finite"):
        VectorScaling().fit(torch.tensor([[0.0, math.nan]] * 2), torch.tensor([0, 1]))
