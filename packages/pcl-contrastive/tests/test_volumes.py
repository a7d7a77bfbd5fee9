"""Tests of pcl_contrastive.volumes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_contrastive.point_contrast import point_info_nce
from pcl_contrastive.volumes import crop_volumes, pool_volumes, split_volumes, volume_info_nce


def scene(seed, n) -> torch.Tensor:
    """Points on a lattice of an eighth, so that borders are met and sums are exact."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-16, 16, (n, 3), generator=generator) / 8


@given(
    st.integers(0, 10_000),
    st.integers(0, 40),
    st.sampled_from([0.5, 1.0, (1.0, 0.5, 4.0)]),
    st.integers(1, 3),
)
def test_volumes_are_the_cells_of_a_grid(seed, n, size, min_points):
    points = scene(seed, n)
    edges = size if isinstance(size, tuple) else (size, size, size)
    cells = [
        tuple(math.floor(x / edge) for x, edge in zip(row, edges, strict=True))
        for row in points.tolist()
    ]
    numbers: dict[tuple[int, ...], int] = {}
    for cell in cells:
        if cells.count(cell) >= min_points:
            numbers.setdefault(cell, len(numbers))
    volumes = split_volumes(points, volume_size=size, min_points=min_points)
    assert volumes.dtype == torch.int64
    assert volumes.tolist() == [numbers.get(cell, -1) for cell in cells]


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_so_many_volumes_are_drawn(seed, max_volumes):
    points = scene(seed, 60)
    every = split_volumes(points, volume_size=1.0, min_points=2)
    generator = torch.Generator().manual_seed(seed)
    volumes = split_volumes(
        points, volume_size=1.0, min_points=2, max_volumes=max_volumes, generator=generator
    )
    inside = volumes >= 0
    pairs = torch.stack([every[inside], volumes[inside]]).unique(dim=1)
    n_volumes = min(max_volumes, int(every.max()) + 1)
    assert pairs.shape[1] == n_volumes  # each is one whole volume of all
    assert pairs[1].tolist() == list(range(n_volumes))  # numbered in the same order
    assert torch.isin(every[~inside], pairs[0]).sum() == 0
    assert (pairs[0] >= 0).all()


def test_volumes_are_drawn_alike():
    points = torch.arange(5.0)[:, None].repeat(1, 3)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack(
        [
            split_volumes(points, volume_size=1.0, max_volumes=2, generator=generator) >= 0
            for _ in range(2000)
        ]
    )
    # Three standard deviations of a share are 0.033.
    assert_close(drawn.float().mean(0), torch.full((5,), 0.4), atol=0.035, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"volume_size": 0.0}, "volume_size must be positive, got 0.0"),
        ({"volume_size": (1.0, math.nan, 1.0)}, "volume_size must be positive, got"),
        ({"max_volumes": 0}, "max_volumes must be at least 1, got 0"),
        ({"min_points": 0}, "min_points must be at least 1, got 0"),
    ],
)
def test_split_volumes_rejects(options, message):
    with pytest.raises(ValueError, match=message):
        split_volumes(torch.zeros(2, 3), **{"volume_size": 1.0, **options})


def test_split_volumes_rejects_points_that_are_not_finite():
    with pytest.raises(ValueError, match="points must be finite, got NaN or infinity"):
        split_volumes(torch.tensor([[0.0, torch.inf, 0.0]]), volume_size=1.0)


def nearest(points, rows, center) -> list[int]:
    """Rows by their distance to the center, then by number."""
    distance = (points - points[center]).square().sum(dim=1).tolist()
    return sorted(rows, key=lambda row: (distance[row], row))


@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from([0.1, 0.375, 0.5, 1.0]))
def test_crops_are_the_nearest_of_a_point_of_the_volume(seed, n, fraction):
    points = scene(seed, n)
    generator = torch.Generator().manual_seed(seed)
    volumes = torch.randint(-1, 4, (n,), generator=generator) * 3  # numbers may be missing
    volumes[volumes < 0] = -1
    kept = crop_volumes(points, volumes, fraction=fraction, generator=generator).tolist()
    assert kept == sorted(set(kept))
    assert all(volumes[row] >= 0 for row in kept)
    for volume in set(volumes.tolist()) - {-1}:
        rows = (volumes == volume).nonzero().squeeze(1).tolist()
        crop = [row for row in kept if volumes[row] == volume]
        size = max(1, round(fraction * len(rows)))
        assert crop in [sorted(nearest(points, rows, center)[:size]) for center in rows]


def test_any_point_may_be_the_center():
    points = torch.arange(6.0)[:, None].repeat(1, 3)
    volumes = torch.tensor([0, 0, 0, 1, 1, 1])
    generator = torch.Generator().manual_seed(0)
    kept = torch.cat(
        [crop_volumes(points, volumes, fraction=0.1, generator=generator) for _ in range(900)]
    )
    # Three standard deviations of a share are 0.047.
    assert_close(kept.bincount() / 900, torch.full((6,), 1 / 3), atol=0.05, rtol=0)


def test_a_whole_crop_is_every_point_of_a_volume():
    volumes = torch.tensor([1, -1, 0, 1, -1])
    assert crop_volumes(scene(0, 5), volumes, fraction=1.0).tolist() == [0, 2, 3]


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5, math.nan])
def test_crop_volumes_rejects(fraction):
    with pytest.raises(ValueError, match=r"fraction must lie in \(0, 1\], got"):
        crop_volumes(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), fraction=fraction)


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_pooling_takes_the_largest_of_each_volume(seed, n_volumes):
    generator = torch.Generator().manual_seed(seed)
    volumes = torch.cat(
        [torch.arange(n_volumes), torch.randint(-1, n_volumes, (20,), generator=generator)]
    )
    volumes = volumes[torch.randperm(len(volumes), generator=generator)]
    features = torch.randn(len(volumes), 3, generator=generator) - 9  # none is above 0
    pooled = pool_volumes(features, volumes, n_volumes)
    for volume in range(n_volumes):
        assert (pooled[volume] == features[volumes == volume].amax(dim=0)).all()


def test_pooling_gradient():
    features = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    volumes = torch.tensor([0, 1, -1, 0, 2, 2, 0])
    assert torch.autograd.gradcheck(
        lambda x: pool_volumes(x, volumes, 3), features.requires_grad_()
    )


def test_pooling_of_nothing():
    assert pool_volumes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), 0).shape == (0, 4)


def test_pooling_rejects():
    with pytest.raises(ValueError, match="volumes must hold every number below 3, got none of 1"):
        pool_volumes(torch.zeros(3, 2), torch.tensor([0, 2, -1]), 3)
    with pytest.raises(ValueError, match="volumes must lie below n_volumes = 2, got 2"):
        pool_volumes(torch.zeros(3, 2), torch.tensor([0, 2, 1]), 2)


@given(st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([0.1, 1.0]))
def test_volume_info_nce_is_equation_1(seed, m, temperature):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, m, 4, generator=generator, dtype=torch.double)
    a, b = ((x / x.norm(dim=1, keepdim=True)).tolist() for x in (student, teacher))
    loss = 0.0
    for j in range(m):
        logits = [sum(x * y for x, y in zip(a[j], k, strict=True)) / temperature for k in b]
        loss -= math.log(math.exp(logits[j]) / sum(math.exp(x) for x in logits)) / m
    found = volume_info_nce(student, teacher, temperature=temperature)
    assert found.item() == pytest.approx(loss, abs=1e-10)


def test_the_teacher_is_a_constant():
    student, teacher = torch.eye(3, requires_grad=True), torch.eye(3, requires_grad=True)
    volume_info_nce(student * torch.tensor([1.0, 2, 3]), teacher.roll(1, 0)).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_the_temperature_of_the_paper_is_the_default():
    student, teacher = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    found = volume_info_nce(student, teacher)
    assert found == point_info_nce(student, teacher, temperature=0.1)


def test_volume_info_nce_gradient():
    student, teacher = torch.randn(
        2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double
    )
    assert torch.autograd.gradcheck(
        lambda x: volume_info_nce(x, teacher), student.clone().requires_grad_()
    )


def test_volume_info_nce_rejects():
    with pytest.raises(ValueError, match=r"student must have at least one row, got shape \(0, 3\)"):
        volume_info_nce(torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(ValueError, match="temperature must be positive, got"):
        volume_info_nce(torch.ones(1, 3), torch.ones(1, 3), temperature=0.0)


def test_a_scene_from_split_to_loss():
    points = scene(0, 400)
    generator = torch.Generator().manual_seed(0)
    volumes = split_volumes(points, volume_size=1.0, min_points=4, max_volumes=10)
    n_volumes = int(volumes.max()) + 1
    layer = torch.nn.Linear(3, 8)
    small, large = (
        crop_volumes(points, volumes, fraction=fraction, generator=generator)
        for fraction in (0.1, 0.5)
    )
    assert len(small) < len(large)
    student, teacher = (
        pool_volumes(layer(points[rows]), volumes[rows], n_volumes) for rows in (small, large)
    )
    volume_info_nce(student, teacher).backward()
    assert layer.weight.grad.abs().sum() > 0


def test_more_cells_than_numbers_are_an_error():
    points = torch.tensor([[-1e10, -1e10, -1e10], [1e10, 1e10, 1e10]])
    with pytest.raises(ValueError, match=r"volume_size must leave fewer than 2\^63 cells, got"):
        split_volumes(points, volume_size=0.1)


def test_cells_far_apart_are_told_apart():
    points = torch.tensor([[0.0, 0, 0], [1e5, 0, 0], [0, 1e5, 0], [0, 0, 1e5], [1e5, 0, 0.4]])
    assert split_volumes(points, volume_size=0.5).tolist() == [0, 1, 2, 3, 1]
