"""Tests of pcl_pseudolabel.confidence_threshold."""

import pytest
import torch
from torch.testing import assert_close

from pcl_pseudolabel import stuff_pseudo_labels, threshold_pseudo_labels


def test_thresholding_keeps_the_confident_and_spares_stuff_offsets():
    probabilities = torch.tensor([[0.95, 0.05], [0.1, 0.9], [0.02, 0.98]])
    offsets = torch.arange(9.0).view(3, 3)
    pseudo = threshold_pseudo_labels(probabilities, offsets, stuff=[0])
    assert pseudo.labels.tolist() == [0, -1, 1]  # 0.9 does not exceed 0.9
    assert pseudo.valid.tolist() == [False, False, True]
    assert_close(pseudo.centroid_offsets, offsets * torch.tensor([[0.0], [0.0], [1.0]]))
    assert threshold_pseudo_labels(probabilities, offsets).valid.tolist() == [True, False, True]
    assert threshold_pseudo_labels(probabilities, offsets, threshold=0.5).valid.all()


def test_a_confident_point_is_its_own_proposal():
    probabilities = torch.tensor([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])
    points, offsets = torch.arange(9.0).view(3, 3) / 2, torch.ones(3, 3)
    pseudo = threshold_pseudo_labels(probabilities, offsets, points=points)
    assert pseudo.proposals.tolist() == [-1, 0, 1]
    assert pseudo.proposal_labels.tolist() == [1, 0]
    assert pseudo.scores.tolist() == [1, 1]
    assert torch.equal(pseudo.centers, points[1:] + 1)
    assert torch.equal(pseudo.centroid_offsets[1:], offsets[1:])


def test_stuff_fills_only_what_is_unlabeled_confident_and_stuff():
    probabilities = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.05, 0.95], [0.6, 0.4]])
    labels = torch.tensor([1, -1, -1, -1])
    assert stuff_pseudo_labels(labels, probabilities, [0]).tolist() == [1, 0, -1, -1]
    assert stuff_pseudo_labels(labels, probabilities, [0], threshold=0.5).tolist() == [1, 0, -1, 0]
    assert stuff_pseudo_labels(labels, probabilities, []).tolist() == labels.tolist()


@pytest.mark.parametrize("bad", [[[1.5, 0.0]], [[-0.5, 1.0]], [[float("nan"), 0.5]]])
def test_rejects_what_is_no_probability(bad):
    with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\], got"):
        threshold_pseudo_labels(torch.tensor(bad), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\], got"):
        stuff_pseudo_labels(torch.tensor([-1]), torch.tensor(bad), [0])
