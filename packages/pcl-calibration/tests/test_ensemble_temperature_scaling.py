import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_calibration.ensemble_temperature_scaling import EnsembleTemperatureScaling
from pcl_calibration.temperature_scaling import TemperatureScaling


def sample(n, n_classes=3, *, temperature=0.5, shares=(0.6, 0.0, 0.4), seed=0):
    """Logits, and labels that the mixture says."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    mixture = sum(
        share * (logits / divisor).softmax(dim=1)
        for share, divisor in zip(shares, (temperature, 1, 1e9), strict=True)
    )
    return logits, mixture.multinomial(1, generator=generator)[:, 0]


def softmax(row, temperature):
    powers = [math.exp(z / temperature) for z in row]
    return [power / sum(powers) for power in powers]


def loss(logits, labels, temperature, weights):
    """Mean of -log(w1 softmax(z / T) + w2 softmax(z) + w3 / c) at the label."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        parts = softmax(row, temperature)[label], softmax(row, 1)[label], 1 / len(row)
        total -= math.log(sum(w * p for w, p in zip(weights, parts, strict=True)))
    return total / len(logits)


def test_temperature_and_shares_are_the_best_of_a_grid():
    logits, labels = sample(60)
    scaling = EnsembleTemperatureScaling().fit(logits, labels)
    shares = [i / 10 for i in range(11)]
    grid = [
        (temperature, (a, b, 1 - a - b))
        for temperature, a, b in itertools.product((0.1, 0.2, 0.35, 0.5, 0.7, 2.0), shares, shares)
        if a + b <= 1
    ]
    found = loss(logits, labels, scaling.temperature_, scaling.weights_.tolist())
    assert scaling.nll_after_ == pytest.approx(found, abs=1e-9)
    assert found <= min(loss(logits, labels, *point) for point in grid)
    assert scaling.nll_before_ == pytest.approx(loss(logits, labels, 1, (0, 1, 0)))
    assert scaling.weights_.sum().item() == pytest.approx(1)


def test_the_mixture_that_made_the_labels_is_found():
    logits, labels = sample(20_000)
    scaling = EnsembleTemperatureScaling().fit(logits, labels)
    wanted = 0.6 * (logits / 0.5).softmax(dim=1) + 0.4 / 3
    assert (scaling.transform(logits) - wanted).abs().max() < 0.03  # standard error about 0.01


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 5))
def test_the_order_stays_and_the_likelihood_is_never_below_that_of_one_temperature(seed, n, c):
    logits, labels = sample(n, c, seed=seed)
    scaling = EnsembleTemperatureScaling().fit(logits, labels)
    one = TemperatureScaling().fit(logits, labels)
    probabilities = scaling.transform(logits)
    assert (probabilities.gather(1, logits.argsort(dim=1)).diff(dim=1) >= 0).all()
    assert torch.equal(probabilities.argmax(dim=1), logits.argmax(dim=1))
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(n, dtype=torch.float64))
    assert scaling.nll_after_ <= one.nll_after_ + 1e-7  # the least shares cost that much
    assert scaling.accuracy_after_ == scaling.accuracy_before_


def test_sure_rows_that_are_wrong_leave_no_infinity():
    logits = torch.tensor([[5000.0, 0.0]] * 9 + [[0.0, 1.0]])
    scaling = EnsembleTemperatureScaling().fit(logits, torch.tensor([0] * 8 + [1, 1]))
    assert math.isfinite(scaling.nll_after_)
    assert (scaling.transform(logits) > 0).all()


def test_rows_without_a_label_are_ignored():
    logits, labels = sample(30)
    more = torch.cat([100 * logits, logits])
    without = torch.cat([torch.full((30,), -1), labels])
    data = [(logits, labels), (more, without)]
    one, other = (EnsembleTemperatureScaling().fit(*rows) for rows in data)
    assert torch.equal(one.parameters_, other.parameters_)


def test_no_rows_become_no_rows():
    scaling = EnsembleTemperatureScaling().fit(*sample(9))
    assert scaling.transform(torch.empty(0, 3)).shape == (0, 3)


def test_fit_returns_the_estimator_and_transform_needs_it():
    logits, labels = sample(9)
    scaling = EnsembleTemperatureScaling()
    with pytest.raises(ValueError, match="must be fitted before transform"):
        scaling.transform(logits)
    assert scaling.fit(logits, labels) is scaling


def test_bad_input_gets_one_clear_error():
    with pytest.raises(ValueError, match="at least 2 classes"):
        EnsembleTemperatureScaling().fit(torch.zeros(2, 1), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="labels must lie in"):
        EnsembleTemperatureScaling().fit(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="logits must be finite"):
        EnsembleTemperatureScaling().fit(torch.full((1, 2), math.nan), torch.tensor([0]))
