"""Tests of pcl_clip3d.label_refinement."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_clip3d.label_refinement import denoise_prompts, smooth_by_keys


def random_map(seed, *shape) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def softmax(logits) -> list[float]:
    powers = [math.exp(100 * (logit - max(logits))) for logit in logits]
    return [power / sum(powers) for power in powers]


def cosine(a, b) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@given(st.integers(0, 999), st.sampled_from([0.0, 0.6, 1.0]))
def test_smoothing_is_its_equation(seed, threshold):
    logits, keys = random_map(seed, 3, 2, 3) / 100, random_map(seed + 1, 4, 2, 3)
    cells = [(i, j) for i in range(2) for j in range(3)]
    found = smooth_by_keys(logits, keys, threshold=threshold)
    before = {cell: softmax(logits[:, *cell].tolist()) for cell in cells}
    for here in cells:
        wanted = before[here]
        if max(wanted) < threshold:
            weights = {c: cosine(keys[:, *here].tolist(), keys[:, *c].tolist()) for c in cells}
            wanted = [sum(weights[c] * before[c][k] for c in cells) for k in range(3)]
        assert_close(found[:, *here], torch.tensor(wanted).double())


def test_the_length_of_keys_does_not_count():
    logits, keys = random_map(0, 3, 2, 3) / 100, random_map(1, 4, 2, 3)
    stretched = keys * torch.linspace(0.1, 9, 6).double().view(1, 2, 3)
    assert_close(smooth_by_keys(logits, stretched), smooth_by_keys(logits, keys))


def test_a_certain_cell_stays_at_the_highest_threshold():
    logits = torch.tensor([[[10.0, 0.0]], [[-10.0, 0.001]]])  # 1 and 0 exactly; 0.475 and 0.525
    found = smooth_by_keys(logits, torch.ones(1, 1, 2))
    assert found[:, 0, 0].tolist() == [1.0, 0.0]
    assert found[0, 0, 1] > 1


def test_one_cell_smooths_to_itself():
    logits = torch.tensor([[[0.01]], [[0.0]]])
    found = smooth_by_keys(logits, torch.ones(5, 1, 1))
    assert_close(found, (100 * logits).softmax(dim=0))


@given(st.integers(0, 999), st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_a_class_below_the_threshold_everywhere_is_absent(seed, threshold):
    logits = random_map(seed, 4, 2, 2) / 100
    cells = [softmax(logits[:, i, j].tolist()) for i in range(2) for j in range(2)]
    likely = [max(cell[k] for cell in cells) >= threshold for k in range(4)]
    found = denoise_prompts(logits, threshold=threshold)
    for k, stays in enumerate(likely if any(likely) else [True] * 4):
        assert_close(found[k], logits[k] if stays else torch.full((2, 2), -100.0).double())


def test_where_no_class_is_likely_all_stay():
    logits = torch.zeros(4, 1, 1)
    assert denoise_prompts(logits, threshold=0.5) is logits


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_outside_the_range_is_refused(threshold):
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\], got"):
        denoise_prompts(torch.zeros(2, 1, 1), threshold=threshold)
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\], got"):
        smooth_by_keys(torch.zeros(2, 1, 1), torch.zeros(2, 1, 1), threshold=threshold)


def test_keys_of_another_grid_are_refused():
    with pytest.raises(ValueError, match=r"keys must have shape \(k, a, b\) with .*, got"):
        smooth_by_keys(torch.zeros(2, 2, 3), torch.zeros(2, 3, 2))
