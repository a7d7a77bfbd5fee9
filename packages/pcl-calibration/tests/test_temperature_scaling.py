import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_calibration.temperature_scaling import TemperatureScaling


def sample(n, n_classes=4, *, temperature=1.0, seed=0):
    """Logits, and labels that softmax(logits / temperature) says."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    probabilities = (logits / temperature).softmax(dim=1)
    return logits, probabilities.multinomial(1, generator=generator)[:, 0]


def loss(logits, labels, temperature):
    """Mean of -log(exp(z_y / T) / sum over k of exp(z_k / T))."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total -= row[label] / temperature - math.log(sum(math.exp(z / temperature) for z in row))
    return total / len(logits)


def test_the_temperature_is_the_best_of_a_fine_grid():
    logits, labels = sample(40, temperature=2.0)
    scaling = TemperatureScaling().fit(logits, labels)
    grid = [0.5 + 0.01 * i for i in range(500)]
    best = min(grid, key=lambda temperature: loss(logits, labels, temperature))
    assert scaling.temperature_ == pytest.approx(best, abs=0.01)
    assert scaling.nll_after_ <= loss(logits, labels, best)
    assert scaling.nll_after_ == pytest.approx(loss(logits, labels, scaling.temperature_))
    assert scaling.nll_before_ == pytest.approx(loss(logits, labels, 1.0))


def test_three_right_of_four_ask_for_a_confidence_of_three_quarters():
    """sigmoid(4 / T) = 3/4 at T = 4 / ln 3."""
    logits = torch.tensor([[4.0, 0.0]] * 4)
    scaling = TemperatureScaling().fit(logits, torch.tensor([0, 0, 1, 0]))
    assert scaling.temperature_ == pytest.approx(4 / math.log(3), rel=1e-6)
    assert scaling.accuracy_before_ == scaling.accuracy_after_ == 0.75


def test_the_temperature_that_made_the_labels_is_found():
    logits, labels = sample(20_000, temperature=1.7)  # standard error about 0.03
    assert TemperatureScaling().fit(logits, labels).temperature_ == pytest.approx(1.7, abs=0.09)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 6))
def test_no_argmax_changes_and_the_likelihood_never_falls(seed, n, n_classes):
    logits, _ = sample(n, n_classes, seed=seed)
    labels = torch.randint(n_classes, (n,), generator=torch.Generator().manual_seed(seed))
    scaling = TemperatureScaling().fit(logits, labels)
    probabilities = scaling.transform(logits)
    assert torch.equal(probabilities.argmax(dim=1), logits.argmax(dim=1))
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(n, dtype=torch.float64))
    assert scaling.nll_after_ <= scaling.nll_before_
    assert scaling.accuracy_after_ == scaling.accuracy_before_


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e3])
def test_the_temperature_has_the_unit_of_the_logits(scale):
    logits, labels = sample(50, temperature=2.0)
    one = TemperatureScaling().fit(logits, labels).temperature_
    scaled = TemperatureScaling().fit(scale * logits, labels).temperature_
    assert scaled == pytest.approx(scale * one, rel=1e-4)


def test_log_probabilities_serve_as_logits():
    logits, labels = sample(50, temperature=2.0)
    of_logits = TemperatureScaling().fit(logits, labels)
    of_probabilities = TemperatureScaling().fit(logits.softmax(dim=1).log(), labels)
    assert of_probabilities.temperature_ == pytest.approx(of_logits.temperature_, rel=1e-6)


def test_rows_without_a_label_are_ignored():
    logits, labels = sample(30, temperature=2.0)
    more = torch.cat([100 * logits, logits])
    without = torch.cat([torch.full((30,), -1), labels])
    one, other = (TemperatureScaling().fit(*data) for data in [(logits, labels), (more, without)])
    assert torch.equal(one.parameters_, other.parameters_)
    assert one.nll_before_ == other.nll_before_
    assert one.accuracy_after_ == other.accuracy_after_


def test_a_fit_can_be_repeated_bit_for_bit():
    logits, labels = sample(50, temperature=2.0)
    one, other = (TemperatureScaling().fit(logits, labels) for _ in range(2))
    assert torch.equal(one.parameters_, other.parameters_)


def test_where_every_row_is_right_the_temperature_stops_at_its_lower_bound():
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    scaling = TemperatureScaling().fit(logits, torch.tensor([0, 1]))
    assert 0 < scaling.temperature_ < 0.1
    assert scaling.transform(logits).isfinite().all()


def test_where_every_row_is_wrong_the_probabilities_become_uniform():
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    scaling = TemperatureScaling().fit(logits, torch.tensor([1, 0]))
    assert torch.allclose(scaling.transform(logits), torch.tensor(0.5), atol=1e-3)


def test_a_fit_works_where_gradients_are_off():
    logits, labels = sample(20, temperature=2.0)
    wanted = TemperatureScaling().fit(logits, labels).temperature_
    with torch.inference_mode():
        inside = TemperatureScaling().fit(logits.clone(), labels)
        assert inside.transform(logits).shape == logits.shape
    with torch.no_grad():
        assert TemperatureScaling().fit(logits, labels).temperature_ == wanted
    assert inside.temperature_ == wanted
    assert not TemperatureScaling().fit(logits.requires_grad_(), labels).parameters_.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_probabilities_have_the_type_of_the_logits(dtype):
    logits, labels = sample(20, temperature=2.0)
    scaling = TemperatureScaling().fit(logits.to(dtype), labels)
    probabilities = scaling.transform(logits.to(dtype))
    wanted = (logits.to(dtype).double() / scaling.temperature_).softmax(dim=1)
    assert probabilities.dtype == dtype
    eps = torch.finfo(dtype).eps  # halves are computed in float32 and rounded once: by eps / 4
    assert (probabilities.double() - wanted).abs().max() < (eps / 3 if eps > 1e-6 else 2 * eps)


def test_no_rows_become_no_rows_and_one_row_suffices():
    scaling = TemperatureScaling().fit(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([1]))
    assert scaling.transform(torch.empty(0, 3)).shape == (0, 3)


def test_fit_returns_the_estimator_and_transform_needs_it():
    logits, labels = sample(5)
    scaling = TemperatureScaling()
    with pytest.raises(ValueError, match="TemperatureScaling must be fitted before transform"):
        scaling.transform(logits)
    assert scaling.fit(logits, labels) is scaling


GOOD = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(2, 1), GOOD[1], "logits must have at least 2 classes, got 1"),
        (torch.tensor([[1.0, math.nan]] * 2), GOOD[1], "logits must be finite"),
        (torch.tensor([[0.0, -math.inf]] * 2), GOOD[1], "logits must be finite"),
        (GOOD[0], torch.tensor([0, 2]), r"labels must lie in \[-1, 2\), got \[0, 2\]"),
        (GOOD[0], torch.tensor([0, -2]), r"labels must lie in \[-1, 2\), got \[-2, 0\]"),
        (GOOD[0], torch.tensor([-1, -1]), "labels must hold one that is not -1, got none of 2"),
        (torch.empty(0, 2), torch.empty(0, dtype=torch.long), "labels must hold one .* none of 0"),
        (GOOD[0], torch.tensor([0]), r"labels must have shape \(n,\) with n = 2 as of logits"),
        (GOOD[0], torch.tensor([0.0, 1.0]), "labels must be of signed integers"),
    ],
)
def test_bad_input_of_fit_gets_one_clear_error(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        TemperatureScaling().fit(logits, labels)


def test_logits_that_are_not_finite_are_not_transformed():
    with pytest.raises(ValueError, match="logits must be finite"):
        TemperatureScaling().fit(*GOOD).transform(torch.tensor([[math.nan, 0.0]]))


@pytest.mark.gpu
def test_a_gpu_finds_what_a_cpu_finds():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    logits, labels = sample(200, temperature=2.0)
    cpu = TemperatureScaling().fit(logits, labels)
    gpu = TemperatureScaling().fit(logits.cuda(), labels.cuda())
    assert gpu.temperature_ == pytest.approx(cpu.temperature_, rel=1e-6)
    assert gpu.transform(logits.cuda()).is_cuda
