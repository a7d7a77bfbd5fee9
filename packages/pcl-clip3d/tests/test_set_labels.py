"""Tests of pcl_clip3d.set_labels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_clip3d.set_labels import sample_in_sets, vote_in_sets, vote_in_views

N_CLASSES = 4


@st.composite
def columns(draw, *ranges):
    """So many equally long columns of whole numbers."""
    n = draw(st.integers(0, 25))
    return [
        torch.tensor(draw(st.lists(st.integers(*r), min_size=n, max_size=n)), dtype=torch.long)
        for r in ranges
    ]


def slow_votes(labels, keys):
    """The mode of the labels of each key; a key of None keeps its label."""
    found = []
    for label, key in zip(labels, keys, strict=True):
        votes = [other for other, k in zip(labels, keys, strict=True) if k == key and other >= 0]
        mode = max(range(N_CLASSES), key=lambda c: (votes.count(c), -c)) if votes else -1
        found.append(label if key is None else mode)
    return found


@given(columns((-1, N_CLASSES - 1), (-1, 3)))
def test_votes_are_the_modes_of_sets(drawn):
    labels, sets = drawn
    keys = [None if one < 0 else one for one in sets.tolist()]
    found = vote_in_sets(labels, sets, n_classes=N_CLASSES)
    assert found.dtype == torch.int64
    assert found.tolist() == slow_votes(labels.tolist(), keys)


@given(columns((-1, N_CLASSES - 1), (-1, 3), (-2, 2)))
def test_votes_in_views_are_the_modes_of_sets_in_each_view(drawn):
    labels, sets, views = drawn
    pairs = zip(sets.tolist(), views.tolist(), strict=True)
    keys = [None if one < 0 else (one, view) for one, view in pairs]
    found = vote_in_views(labels, sets, views, n_classes=N_CLASSES)
    assert found.tolist() == slow_votes(labels.tolist(), keys)


@given(columns((-1, N_CLASSES - 1), (-1, 3)), st.randoms())
def test_votes_follow_the_order_of_points_and_do_not_change_when_repeated(drawn, random):
    labels, sets = drawn
    found = vote_in_sets(labels, sets, n_classes=N_CLASSES)
    order = torch.tensor(random.sample(range(len(sets)), len(sets)), dtype=torch.long)
    shuffled = vote_in_sets(labels[order], sets[order], n_classes=N_CLASSES)
    assert torch.equal(shuffled, found[order])
    assert torch.equal(vote_in_sets(found, sets, n_classes=N_CLASSES), found)


def test_ids_of_sets_and_views_may_be_large():
    labels, sets = torch.tensor([1, 1, 0]), torch.tensor([2**62, 2**62, 2**62])
    assert vote_in_sets(labels, sets, n_classes=2).tolist() == [1, 1, 1]
    assert vote_in_views(labels, sets, sets, n_classes=2).tolist() == [1, 1, 1]
    assert vote_in_views(labels.int(), sets, -sets, n_classes=2).tolist() == [1, 1, 1]


@pytest.mark.parametrize("label", [-2, 3])
def test_labels_that_are_no_class_are_refused(label):
    labels, zeros = torch.tensor([0, label]), torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"labels must lie in \[-1, 3\), got \["):
        vote_in_sets(labels, zeros, n_classes=3)
    with pytest.raises(ValueError, match=r"labels must lie in \[-1, 3\), got \["):
        vote_in_views(labels, zeros, zeros, n_classes=3)


def test_lengths_that_differ_are_refused():
    two, three = torch.zeros(2, dtype=torch.long), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"sets must have shape \(n,\) with n = 2 as of labels"):
        vote_in_sets(two, three, n_classes=1)
    with pytest.raises(ValueError, match=r"views must have shape \(m,\) with m = 2 as of labels"):
        vote_in_views(two, two, three, n_classes=1)


def slow_quotas(sizes, total):
    """Largest remainders: whole parts, and one more by remainder, then by id."""
    quotas = [total * size // sum(sizes) for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % sum(sizes)), i))
    for i in by_remainder[: total - sum(quotas)]:
        quotas[i] += 1
    return quotas


@given(columns((-1, 4)), st.integers(0, 30), st.integers(0, 3))
def test_samples_are_in_proportion_to_the_sets(drawn, n_samples, seed):
    (sets,) = drawn
    rows = sample_in_sets(sets, n_samples, generator=torch.Generator().manual_seed(seed))
    total = min(n_samples, len(sets))
    assert rows.dtype == torch.int64
    assert len(rows) == len(rows.unique()) == total
    assert rows.tolist() == sorted(rows.tolist())
    ids, sizes = sets.unique(return_counts=True)
    found = [int((sets[rows] == one).sum()) for one in ids]
    assert found == (slow_quotas(sizes.tolist(), total) if len(sets) else [])


def test_rows_of_a_set_are_drawn_uniformly():
    sets, generator = torch.tensor([3, 7, 7, 3, 7, 7]), torch.Generator().manual_seed(0)
    counts = torch.zeros(6)
    for _ in range(400):
        counts[sample_in_sets(sets, 3, generator=generator)] += 1
    # Half of each set: 200 of 400, with a deviation of sqrt(400) / 2 = 10.
    assert (counts - 200).abs().max() < 40


def test_a_seed_gives_the_same_rows_again():
    sets = torch.arange(50) % 3
    first, second = (
        sample_in_sets(sets, 20, generator=torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, sample_in_sets(sets, 20))


def test_a_negative_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="n_samples must not be negative, got -1"):
        sample_in_sets(torch.zeros(3, dtype=torch.long), -1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_votes_and_samples_are_the_same_on_a_gpu():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(-1, 5, (1000,), generator=generator)
    sets = torch.randint(-1, 90, (1000,), generator=generator)
    views = torch.randint(0, 6, (1000,), generator=generator)
    voted = vote_in_sets(labels.cuda(), sets.cuda(), n_classes=5)
    assert torch.equal(voted.cpu(), vote_in_sets(labels, sets, n_classes=5))
    voted = vote_in_views(labels.cuda(), sets.cuda(), views.cuda(), n_classes=5)
    assert torch.equal(voted.cpu(), vote_in_views(labels, sets, views, n_classes=5))
    one, other = (
        sample_in_sets(place, 64, generator=torch.Generator().manual_seed(1))
        for place in (sets.cuda(), sets)
    )
    assert torch.equal(one.cpu(), other)
