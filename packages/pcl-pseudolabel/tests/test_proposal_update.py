"""Tests of pcl_pseudolabel.proposal_update."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_pseudolabel import (
    proposal_centers,
    proposal_confidence,
    update_pseudo_labels,
    vote_proposal_labels,
)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 5))
def test_update_is_equations_6_to_8(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    points, offsets = torch.randint(-64, 64, (2, n, 3), generator=generator).double() / 8
    proposals = torch.randint(-1, m, (n,), generator=generator)
    labels = torch.randint(0, 9, (m,), generator=generator)
    scores = torch.randint(0, 5, (m,), generator=generator) / 4  # meets the threshold
    pseudo = update_pseudo_labels(points, offsets, proposals, labels, scores)
    for i in range(n):
        j = int(proposals[i])
        if j < 0 or scores[j] <= 0.5:
            assert pseudo.labels[i] == -1
            assert not pseudo.valid[i]
            assert (pseudo.centroid_offsets[i] == 0).all()
            continue
        members = [k for k in range(n) if proposals[k] == j]
        center = sum(points[k] + offsets[k] for k in members) / len(members)
        assert pseudo.labels[i] == labels[j]
        assert pseudo.proposals[i] == j
        assert pseudo.valid[i]
        assert_close(pseudo.centroid_offsets[i], center - points[i], atol=1e-12, rtol=0)


def test_all_points_of_a_trusted_proposal_meet_in_one_centre():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double()
    proposals = torch.arange(20) % 2
    labels, scores = torch.tensor([3, 3]), torch.ones(2)
    pseudo = update_pseudo_labels(points, points.flip(0), proposals, labels, scores)
    ends = points + pseudo.centroid_offsets
    assert_close(ends[::2], ends[:1].expand(10, 3))
    assert_close(ends[0], proposal_centers(points, points.flip(0), proposals, 2)[0])


def test_update_without_proposals_labels_nothing():
    none = torch.zeros(0, dtype=torch.long)
    pseudo = update_pseudo_labels(
        torch.ones(2, 3), torch.ones(2, 3), torch.tensor([-1, -1]), none, torch.zeros(0)
    )
    assert pseudo.labels.tolist() == [-1, -1]
    assert not pseudo.valid.any()


@given(st.integers(0, 10_000), st.integers(0, 30), st.integers(0, 5))
def test_vote_is_the_lowest_of_the_commonest(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 4, (n,), generator=generator)
    proposals = torch.randint(-1, m, (n,), generator=generator)
    expected = []
    for j in range(m):
        votes = [y for y, p in zip(labels.tolist(), proposals.tolist(), strict=True) if p == j]
        votes = sorted(y for y in votes if y >= 0)
        expected.append(max(votes, key=votes.count) if votes else -1)  # max keeps the first
    assert vote_proposal_labels(labels, proposals, m).tolist() == expected


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(0, 5))
def test_confidence_is_the_mean_over_the_points_of_a_proposal(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(n + m, 4, generator=generator)
    proposals = (
        torch.randint(-1, max(m, 1), (n,), generator=generator) if m else torch.full((n,), -1)
    )
    proposals = torch.cat([proposals, torch.arange(m)])  # each has a point
    labels = torch.randint(0, 4, (m,), generator=generator)
    found = proposal_confidence(probabilities, proposals, labels)
    for j in range(m):
        members = [
            float(p[labels[j]]) for p, q in zip(probabilities, proposals, strict=True) if q == j
        ]
        assert_close(found[j], torch.tensor(sum(members) / len(members)))
    assert found.shape == (m,)


def test_confidence_rejects_what_has_no_class_or_no_point():
    probabilities = torch.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match="proposals must be below n_proposals = 1, got 1"):
        proposal_confidence(probabilities, torch.tensor([0, 1]), torch.tensor([2]))
    with pytest.raises(ValueError, match="proposals must name each of 2, got none of 1"):
        proposal_confidence(probabilities, torch.tensor([0, -1]), torch.tensor([2, 0]))


def test_rejects_a_proposal_without_a_label():
    proposals, zero = torch.tensor([2]), torch.zeros(1, 3)
    with pytest.raises(ValueError, match="proposals must be below n_proposals = 2, got 2"):
        update_pseudo_labels(zero, zero, proposals, torch.tensor([0, 1]), torch.ones(2))
    with pytest.raises(ValueError, match="proposals must be below n_proposals = 2, got 2"):
        vote_proposal_labels(torch.tensor([1]), proposals, 2)
