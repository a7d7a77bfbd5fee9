import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_calibration.depth_aware_scaling import DepthAwareScaling
from pcl_calibration.temperature_scaling import TemperatureScaling


def sample(n, n_classes=3, *, seed=0):
    """Logits, labels and depths; the temperature of the labels grows from 1 to 3 over 50 m."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    depth = 50 * torch.rand(n, generator=generator, dtype=torch.float64)
    scaled = logits / (1 + 2 * depth / 50)[:, None]
    return logits, scaled.softmax(dim=1).multinomial(1, generator=generator)[:, 0], depth


def probabilities(row, distance, near, far, unsure, low, high, threshold):
    """softmax(z / T), T = T_g (k d + b), with k d + b through (low, near) and (high, far)."""
    powers = [math.exp(z) for z in row]
    entropy = -sum(p / sum(powers) * math.log(p / sum(powers)) for p in powers)
    k = (far - near) / (high - low)
    b = near - k * low
    temperature = (unsure if entropy >= threshold else 1.0) * (k * distance + b)
    powers = [math.exp(z / temperature) for z in row]
    return [p / sum(powers) for p in powers]


def loss(logits, labels, depth, *parameters):
    rows = zip(logits.tolist(), labels.tolist(), depth.tolist(), strict=True)
    return -sum(
        math.log(probabilities(row, distance, *parameters)[label]) for row, label, distance in rows
    ) / len(logits)


def test_the_temperatures_are_the_best_of_a_grid():
    data = sample(60)
    scaling = DepthAwareScaling(entropy_threshold=0.4).fit(*data)
    low, high = scaling.depth_range_
    (near, far), (unsure_near, unsure_far) = scaling.temperatures_.tolist()
    assert (low, high) == (data[2].min().item(), data[2].max().item())
    assert unsure_far / far == pytest.approx(unsure_near / near)
    steps = [1 / 1.3, 1 / 1.05, 1.0, 1.05, 1.3]
    losses = [
        loss(*data, near * i, far * j, unsure_near / near * k, low, high, 0.4)
        for i, j, k in itertools.product(steps, steps, steps)
    ]
    assert scaling.nll_after_ == pytest.approx(losses[62])  # the middle
    assert losses[62] == min(losses)


def test_the_temperatures_that_made_the_labels_are_found():
    scaling = DepthAwareScaling().fit(*sample(20_000))
    wanted = torch.tensor([[1.0, 3.0]] * 2, dtype=torch.float64)
    assert (scaling.temperatures_ - wanted).abs().max() < 0.25  # standard error about 0.1


def test_a_point_farther_than_all_fitted_ones_has_the_temperature_of_the_farthest():
    scaling = DepthAwareScaling().fit(*sample(50))
    low, high = scaling.depth_range_
    logits = torch.tensor([[3.0, 0.0, 0.0]] * 4, dtype=torch.float64)
    depth = torch.tensor([low / 2, low, high, 10 * high], dtype=torch.float64)
    nearer, near, far, farther = scaling.transform(logits, depth)
    assert torch.equal(nearer, near)
    assert torch.allclose(far, farther, rtol=1e-12)
    assert not torch.equal(near, far)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 5))
def test_no_argmax_changes_and_the_likelihood_is_never_below_that_of_one_temperature(seed, n, c):
    logits, labels, depth = sample(n, c, seed=seed)
    scaling = DepthAwareScaling().fit(logits, labels, depth)
    one = TemperatureScaling().fit(logits, labels)
    probabilities = scaling.transform(logits, 3 * depth)
    assert torch.equal(probabilities.argmax(dim=1), logits.argmax(dim=1))
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(n, dtype=torch.float64))
    assert scaling.nll_after_ <= one.nll_after_
    assert scaling.accuracy_after_ == scaling.accuracy_before_


def test_at_one_depth_with_one_group_it_is_temperature_scaling():
    logits, labels, depth = sample(40)
    scaling = DepthAwareScaling(entropy_threshold=math.inf)
    scaling.fit(logits, labels, torch.full_like(depth, 7.0))
    one = TemperatureScaling().fit(logits, labels)
    assert scaling.temperatures_[0, 0].item() == pytest.approx(one.temperature_)
    assert torch.allclose(scaling.transform(logits, depth), one.transform(logits))


def test_points_without_a_label_are_ignored():
    logits, labels, depth = sample(30)
    more = torch.cat([100 * logits, logits]), torch.cat([torch.full((30,), -1), labels])
    one = DepthAwareScaling().fit(logits, labels, depth)
    other = DepthAwareScaling().fit(*more, torch.cat([9 * depth, depth]))
    assert torch.equal(one.parameters_, other.parameters_)
    assert one.depth_range_ == other.depth_range_


def test_logits_and_depth_may_have_types_of_their_own():
    logits, labels, depth = sample(30)
    scaling = DepthAwareScaling().fit(logits.half(), labels, depth.float())
    assert scaling.transform(logits.half(), depth).dtype == torch.float16


def test_no_points_become_no_points():
    scaling = DepthAwareScaling().fit(*sample(9))
    assert scaling.transform(torch.empty(0, 3), torch.empty(0)).shape == (0, 3)


def test_fit_returns_the_estimator_and_transform_needs_it():
    logits, labels, depth = sample(9)
    scaling = DepthAwareScaling()
    with pytest.raises(ValueError, match="DepthAwareScaling must be fitted before transform"):
        scaling.transform(logits, depth)
    assert scaling.fit(logits, labels, depth) is scaling


@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_a_threshold_below_zero_is_refused(value):
    with pytest.raises(ValueError, match="entropy_threshold must be at least 0"):
        DepthAwareScaling(entropy_threshold=value)


def test_bad_input_gets_one_clear_error():
    logits, labels, depth = sample(9)
    with pytest.raises(ValueError, match=r"depth must have shape \(n,\) with n = 9 as of logits"):
        DepthAwareScaling().fit(logits, labels, depth[1:])
    with pytest.raises(ValueError, match="depth must be at least 0, got -1"):
        DepthAwareScaling().fit(logits, labels, torch.full((9,), -1.0))
    with pytest.raises(ValueError, match="depth must be finite"):
        DepthAwareScaling().fit(logits, labels, torch.full((9,), math.inf))
    with pytest.raises(ValueError, match="labels must lie in"):
        DepthAwareScaling().fit(logits, labels + 3, depth)
    with pytest.raises(ValueError, match="labels must hold one that is not -1"):
        DepthAwareScaling().fit(logits, labels.fill_(-1), depth)
    with pytest.raises(ValueError, match="depth must be at least 0"):
        DepthAwareScaling().fit(*sample(9)).transform(logits, -depth)
