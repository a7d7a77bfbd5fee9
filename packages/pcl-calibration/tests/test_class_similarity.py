"""Tests of pcl_calibration.class_similarity."""

import math
from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_calibration.class_similarity import ClassPrototypes, class_prototypes, class_similarity


def instances(seed, n, n_classes=4, dim=3):
    """Embeddings, and labels of which some are -1."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(n, dim, generator=generator)
    return embeddings, torch.randint(-1, n_classes, (n,), generator=generator)


@given(st.integers(0, 10_000), st.integers(0, 30))
def test_prototypes_are_equation_1(seed, n):
    embeddings, labels = instances(seed, n)
    prototypes = class_prototypes(embeddings, labels, 4)
    assert prototypes.dtype == torch.double
    for i in range(4):
        rows = [embeddings[k].tolist() for k in range(n) if labels[k] == i]
        for channel in range(3):
            mean = math.fsum(row[channel] for row in rows) / max(len(rows), 1)
            assert prototypes[i, channel].item() == pytest.approx(mean, abs=1e-12)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_batches_order_and_merges_change_rounding_only(seed, sizes):
    n = sum(sizes)
    embeddings, labels = instances(seed, n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    streamed = ClassPrototypes(4, 3)
    for rows in order.split(sizes):
        other = ClassPrototypes(4, 3)
        other.update(embeddings[rows], labels[rows])
        streamed.merge(other)
    batches = ClassPrototypes(4, 3)
    for rows in torch.arange(n).split(sizes):
        batches.update(embeddings[rows], labels[rows])
    expected = class_prototypes(embeddings, labels, 4)
    assert_close(streamed.compute(), expected, rtol=0, atol=1e-14)
    assert_close(batches.compute(), expected, rtol=0, atol=1e-14)
    for counts in (streamed.counts, batches.counts):
        assert counts.tolist() == [(labels == i).sum() for i in range(4)]


def test_more_rows_than_are_copied_at_once(monkeypatch):
    embeddings, labels = instances(0, 11)
    expected = class_prototypes(embeddings, labels, 4)
    monkeypatch.setattr(import_module("pcl_calibration.class_similarity"), "ROWS_AT_ONCE", 3)
    assert torch.equal(class_prototypes(embeddings, labels, 4), expected)


def test_sums_are_in_double_precision():
    embeddings = torch.tensor([[2.0**24], [1.0], [1.0], [-(2.0**24)]])
    prototypes = class_prototypes(embeddings, torch.zeros(4, dtype=torch.long), 2)
    assert prototypes.tolist() == [[0.5], [0.0]]  # single precision loses both ones


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32])
def test_labels_of_any_width_and_embeddings_with_gradients(dtype):
    embeddings = torch.ones(2, 1, dtype=torch.half, requires_grad=True)
    prototypes = class_prototypes(embeddings, torch.tensor([1, 1], dtype=dtype), 2)
    assert prototypes.tolist() == [[0.0], [1.0]]
    assert not prototypes.requires_grad


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_embedding_that_is_not_finite_leaves_no_trace(value):
    prototypes = ClassPrototypes(2, 1)
    with pytest.raises(ValueError, match="embeddings must be finite"):
        prototypes.update(torch.tensor([[1.0], [value]]), torch.tensor([0, 1]))
    assert prototypes.counts.tolist() == [0, 0]
    assert prototypes.sums.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("label", [-2, 3])
def test_a_label_outside_the_range_is_refused(label):
    with pytest.raises(ValueError, match=r"labels must lie in \[-1, 3\)"):
        class_prototypes(torch.ones(1, 2), torch.tensor([label]), 3)


def test_sizes_are_refused():
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        ClassPrototypes(1, 3)
    with pytest.raises(ValueError, match="dim must be at least 1, got 0"):
        ClassPrototypes(2, 0)
    with pytest.raises(ValueError, match=r"embeddings must have shape \(n, 3\), got \(1, 2\)"):
        ClassPrototypes(2, 3).update(torch.ones(1, 2), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"other must hold sums of shape \(2, 3\), got \(2, 4\)"):
        ClassPrototypes(2, 3).merge(ClassPrototypes(2, 4))


@given(st.integers(0, 10_000))
def test_similarity_is_the_cosine(seed):
    prototypes = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
    rows = prototypes.double().tolist()
    similarity = class_similarity(prototypes)
    for i in range(5):
        for j in range(5):
            dot = math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            cosine = dot / math.hypot(*rows[i]) / math.hypot(*rows[j])
            assert similarity[i, j].item() == pytest.approx(cosine, abs=1e-14)


def test_cosines_of_parallel_prototypes_do_not_exceed_one():
    directions = torch.randn(2, 300, 7, generator=torch.Generator().manual_seed(0)).double()
    prototypes = torch.cat([directions[0], directions[0] * directions[1, :, :1].abs()])
    assert class_similarity(prototypes).max() == 1  # rounding gives more


@given(st.integers(0, 10_000), st.floats(1e-30, 1e30))
def test_length_does_not_matter_and_bounds_hold(seed, scale):
    base = torch.randn(1, 3, generator=torch.Generator().manual_seed(seed))
    prototypes = base * torch.tensor([[1.0], [3.0], [-7.0]])
    similarity = class_similarity(prototypes.double() * scale)
    assert_close(similarity, class_similarity(prototypes), rtol=0, atol=1e-6)
    assert similarity.abs().max() <= 1
    assert similarity.diagonal().tolist() == [1, 1, 1]


def test_a_class_without_an_instance_is_like_itself_only():
    prototypes = class_prototypes(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([0, 2]), 4)
    assert_close(
        class_similarity(prototypes),
        torch.tensor([[1, 0, 0.6, 0], [0, 1, 0, 0], [0.6, 0, 1, 0], [0, 0, 0, 1]]).double(),
    )


def test_single_precision_is_not_lost_under_autocast():
    prototypes = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    expected = class_similarity(prototypes)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(class_similarity(prototypes), expected)


def test_prototypes_of_one_class_or_not_finite_are_refused():
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        class_similarity(torch.ones(1, 3))
    with pytest.raises(ValueError, match="prototypes must be finite"):
        class_similarity(torch.tensor([[1.0], [torch.nan]]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_agrees():
    embeddings, labels = instances(0, 1000)
    found = class_prototypes(embeddings.cuda(), labels.cuda(), 4)
    expected = class_prototypes(embeddings, labels, 4)
    assert_close(found.cpu(), expected, rtol=0, atol=1e-12)
    assert_close(class_similarity(found).cpu(), class_similarity(expected), rtol=0, atol=1e-12)
