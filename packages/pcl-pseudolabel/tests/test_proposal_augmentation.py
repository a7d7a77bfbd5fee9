"""Tests of pcl_pseudolabel.proposal_augmentation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_pseudolabel import mutate_proposals, transform_proposals


def scenes(seed: int, n: int = 60):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(0, 33, (n, 3), generator=generator) / 8
    scene = torch.randint(0, 3, (n,), generator=generator).sort().values
    proposals = 2 * scene + torch.randint(0, 2, (n,), generator=generator)
    proposals[torch.rand(n, generator=generator) < 0.3] = -1
    return points, scene, proposals


def contents(point_index, proposal_index) -> dict[int, list[int]]:
    pairs = zip(proposal_index.tolist(), point_index.tolist(), strict=True)
    result: dict[int, list[int]] = {}
    for proposal, point in pairs:
        result.setdefault(proposal, []).append(point)
    return result


@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.75, 1.25, 2.0]), st.integers(1, 8))
def test_mutation_takes_the_points_of_the_scene_in_the_scaled_box(seed, ratio, min_points):
    points, scene, proposals = scenes(seed)
    found = contents(
        *mutate_proposals(
            points, scene, proposals, ratio=(ratio, ratio), probability=1.0, min_points=min_points
        )
    )
    for j in proposals[proposals >= 0].unique().tolist():
        own = (proposals == j).nonzero()[:, 0]
        low, high = points[own].amin(0), points[own].amax(0)
        half, center = (high - low) / 2 * ratio, (low + high) / 2  # exact in binary
        inside = [
            i
            for i in range(len(points))
            if scene[i] == scene[own[0]] and ((points[i] - center).abs() <= half).all()
        ]
        assert found[j] == (inside if len(inside) >= min_points else own.tolist())


def test_without_mutation_proposals_keep_their_points():
    points, scene, proposals = scenes(1)
    rows, index = mutate_proposals(points, scene, proposals, probability=0.0, min_points=1)
    assert_close(index, proposals[rows])
    assert len(rows) == (proposals >= 0).sum()
    assert (index.diff() >= 0).all()


def test_half_of_the_proposals_are_mutated_by_ratios_over_the_whole_range():
    n = 2000  # proposals on a line of 101 points each, in one scene each
    line = torch.stack([torch.arange(101.0), torch.zeros(101), torch.zeros(101)], 1)
    proposals = torch.arange(n).repeat_interleave(101)
    _, index = mutate_proposals(
        line.repeat(n, 1),
        proposals,
        proposals,
        ratio=(0.6, 1.0),
        generator=torch.Generator().manual_seed(0),
    )
    left = index.bincount(minlength=n)
    cropped = left[left < 101]
    assert 0.46 < len(cropped) / n < 0.54  # 1/2 of the draws, 4 sigma is 0.045
    assert cropped.min() == 61
    assert cropped.max() == 99
    assert abs(cropped.double().mean() - 80) < 1.5


def test_same_generator_same_mutation():
    points, scene, proposals = scenes(1)
    runs = [
        mutate_proposals(
            points, scene, proposals, min_points=1, generator=torch.Generator().manual_seed(4)
        )
        for _ in range(2)
    ]
    assert_close(runs[0], runs[1])


def test_mutation_of_nothing_is_nothing():
    none = torch.zeros(0, dtype=torch.long)
    assert mutate_proposals(torch.zeros(0, 3), none, none)[0].shape == (0,)
    free = torch.tensor([-1])
    assert mutate_proposals(torch.zeros(1, 3), torch.tensor([0]), free)[0].shape == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": (0.0, 1.0)}, r"ratio must be .* got \(0.0, 1.0\)"),
        ({"ratio": (1.3, 0.7)}, "ratio must be"),
        ({"probability": 1.5}, r"probability must lie in \[0, 1\], got 1.5"),
    ],
)
def test_mutation_rejects(options, message):
    points, scene, proposals = scenes(1)
    with pytest.raises(ValueError, match=message):
        mutate_proposals(points, scene, proposals, **options)


def linear_part(before, after):
    """The 3 x 3 matrix that maps centred points to centred points."""
    before, after = before - before.mean(0), after - after.mean(0)
    return torch.linalg.lstsq(before, after).solution.T


def test_transform_is_scale_then_rotation_about_the_mean_in_the_stated_ranges():
    m, generator = 300, torch.Generator().manual_seed(0)
    points = torch.randn(m * 8, 3, generator=generator).double() + 50
    index = torch.arange(m).repeat_interleave(8)
    moved = transform_proposals(points, index, m, generator=generator)
    scales, turns, tilts, shifts = [], [], [], []
    for j in range(m):
        before, after = points[index == j], moved[index == j]
        matrix = linear_part(before, after)
        scale = matrix.norm(dim=0)
        rotation = matrix / scale
        assert_close(rotation @ rotation.T, torch.eye(3).double(), atol=1e-9, rtol=0)
        assert torch.linalg.det(rotation) > 0
        scales.append(scale)
        turns.append(torch.atan2(rotation[1, 0], rotation[0, 0]))
        tilts.append(rotation[2, 2].clamp(max=1).acos())
        shifts.append(after.mean(0) - before.mean(0))
    scales, turns, tilts, shifts = (torch.stack(x) for x in (scales, turns, tilts, shifts))
    assert 0.8 <= scales.min() < 0.81
    assert 1.19 < scales.max() <= 1.2
    assert -math.pi <= turns.min() < -3
    assert 3 < turns.max() <= math.pi
    # two tilts of at most 5 degrees
    assert math.radians(5) < tilts.max() <= math.radians(5 * math.sqrt(2)) + 1e-9
    assert 0.099 < shifts.abs().max() <= 0.1 + 1e-9


def test_transform_of_one_proposal_ignores_the_others():
    points = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)).double()
    index = torch.tensor([0, 1] * 5)
    other = torch.where((index == 1)[:, None], points + 7, points)
    a, b = (
        transform_proposals(p, index, 2, generator=torch.Generator().manual_seed(1))
        for p in (points, other)
    )
    assert_close(a[index == 0], b[index == 0])
    assert transform_proposals(points[:0], index[:0], 0).shape == (0, 3)
