"""Tests of pcl_pseudolabel.proposal_match."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_pseudolabel import matched_labels, proposal_iou


@given(st.integers(0, 10_000), st.integers(1, 25), st.integers(0, 5))
def test_matches_sets_of_points(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    instances = torch.randint(-1, 4, (n,), generator=generator) * 10
    instances[instances < 0] = -1
    inside = torch.rand(m, n, generator=generator) < 0.4  # proposals overlap, some are empty
    proposal_index, point_index = inside.nonzero().T
    found = proposal_iou(point_index, proposal_index, m, instances)
    for j in range(m):
        proposal, best = set(inside[j].nonzero()[:, 0].tolist()), (0.0, -1)
        for g in instances[instances >= 0].unique().tolist():  # ascending: ties keep the lowest
            instance = set((instances == g).nonzero()[:, 0].tolist())
            iou = len(proposal & instance) / len(proposal | instance)
            best = (iou, g) if iou > best[0] else best
        assert_close(found.iou[j].item(), best[0], atol=1e-7, rtol=0)  # float32
        assert found.instance[j] == best[1]


def test_a_tie_goes_to_the_lowest_instance():
    instances = torch.tensor([9, 5, -1])
    rows, zeros = torch.tensor([0, 1, 2]), torch.tensor([0, 0, 0])
    assert proposal_iou(rows, zeros, 1, instances).instance.tolist() == [5]


def test_a_mutated_perfect_proposal_loses_iou():
    instances = torch.tensor([0, 0, 0, 0, 1])
    exact = proposal_iou(torch.arange(4), torch.zeros(4, dtype=torch.long), 1, instances)
    grown = proposal_iou(torch.arange(5), torch.zeros(5, dtype=torch.long), 1, instances)
    assert exact.iou.item() == 1
    assert_close(grown.iou, torch.tensor([4 / 5]))


def test_no_proposals_and_no_points():
    none = torch.zeros(0, dtype=torch.long)
    assert proposal_iou(none, none, 0, none).iou.shape == (0,)
    assert proposal_iou(none, none, 2, torch.tensor([1])).instance.tolist() == [-1, -1]


def test_matched_labels_are_those_of_the_instance():
    instances, labels = torch.tensor([-1, 30, 4, 30]), torch.tensor([7, 1, 2, 1])
    assert matched_labels(torch.tensor([30, -1, 4]), instances, labels).tolist() == [1, -1, 2]
    none = torch.zeros(0, dtype=torch.long)
    assert matched_labels(none, instances, labels).shape == (0,)
