"""Tests of pcl_pseudolabel.pseudo_labels."""

import dataclasses

import pytest
import torch

from pcl_pseudolabel import PseudoLabels


@pytest.fixture
def pseudo() -> PseudoLabels:
    generator = torch.Generator().manual_seed(0)
    return PseudoLabels(
        labels=torch.randint(-1, 20, (50,), generator=generator),
        proposals=torch.randint(-1, 4, (50,), generator=generator),
        centers=torch.randn(5, 3, generator=generator).double(),  # no point refers to the fifth
        scores=torch.rand(5, generator=generator),
        proposal_labels=torch.randint(0, 20, (5,), generator=generator),
    )


@pytest.fixture
def points() -> torch.Tensor:
    return torch.randn(50, 3, generator=torch.Generator().manual_seed(1)).double()


def test_offsets_lead_to_the_centres(pseudo, points):
    """Eq. 8, point by point."""
    labels, offsets, valid = pseudo.at(points)
    assert torch.equal(labels, pseudo.labels)
    assert torch.equal(valid, pseudo.proposals >= 0)
    for i in range(50):
        expected = pseudo.centers[pseudo.proposals[i]] - points[i] if valid[i] else torch.zeros(3)
        assert torch.allclose(offsets[i], expected.double(), atol=1e-12)


def test_offsets_follow_an_augmentation_of_points_and_centres(pseudo, points):
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).double()
    moved = dataclasses.replace(
        pseudo, points=points @ turn.T + 4, centers=pseudo.centers @ turn.T + 4
    )
    expected = pseudo.at(points).centroid_offsets @ turn.T
    assert torch.allclose(moved.centroid_offsets, expected, atol=1e-12)


def test_points_of_a_voxel_have_its_labels_and_offsets_of_their_own(pseudo, points):
    inverse = torch.tensor([3, 3, 7])
    found = pseudo.at(points[:3], inverse)
    assert torch.equal(found.labels, pseudo.labels[inverse])
    assert torch.equal(found.proposals, pseudo.proposals[inverse])
    assert torch.equal(found.points, points[:3])
    assert torch.equal(found.centers, pseudo.centers)
    told = torch.rand(5, 9)
    soft = dataclasses.replace(pseudo, class_probabilities=told).at(points[:3], inverse)
    assert torch.equal(soft.class_probabilities, told)


def test_without_points_there_are_no_offsets(pseudo, points):
    with pytest.raises(ValueError, match=r"points must be known .* got none: use at\(points\)"):
        _ = pseudo.centroid_offsets
    with pytest.raises(ValueError, match=r"points must have shape \(50, 3\), got \(49, 3\)"):
        pseudo.at(points[:49])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proposals": torch.zeros(3).long()}, r"proposals must have shape \(50,\), got \(3,\)"),
        ({"centers": torch.zeros(4, 3)}, r"centers must have shape \(5, 3\), got \(4, 3\)"),
        ({"proposal_labels": torch.zeros(4).long()}, "proposal_labels must have shape"),
        ({"class_probabilities": torch.zeros(4, 9)}, r"must have 5 rows, got shape \(4, 9\)"),
        ({"class_probabilities": torch.full((5, 9), 1.5)}, r"must lie in \[0, 1\], got 1.5 to"),
        ({"class_probabilities": torch.full((5, 9), torch.nan)}, r"must lie in \[0, 1\], got nan"),
        ({"proposals": torch.full((50,), 5)}, r"proposals must lie in \[-1, 5\), got \[5, 5\]"),
        ({"labels": torch.full((50,), 40_000)}, r"labels must lie in \[-1, 32768\)"),
        ({"labels": torch.full((50,), -2)}, r"labels must lie in \[-1, 32768\)"),
        ({"proposal_labels": torch.full((5,), -2)}, r"proposal_labels must lie in \[-1, 32768\)"),
    ],
)
def test_rejects(pseudo, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(pseudo, **change)
