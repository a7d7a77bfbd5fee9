"""Tests of pcl_contrastive.active_labeling."""

import math
import sys

import faiss
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_contrastive import active_labeling
from pcl_contrastive.active_labeling import (
    object_coverage,
    select_points_at_random,
    select_points_by_input,
    select_points_csc_reference,
    select_points_to_label,
)


def scene(seed: int, n: int, n_channels: int = 6):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, n_channels, generator=generator)
    return features, 4 * torch.rand(n, 3, generator=generator)


def nearest_to_mean(rows: list[list[float]]) -> int:
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return min(range(len(rows)), key=lambda i: math.dist(rows[i], mean))


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_one_label_goes_to_the_point_nearest_the_mean_of_all(weight):
    """One centre is the mean; 2,000 points are more than faiss would draw for it."""
    features, points = scene(0, 2000)
    rows = [
        [*(v / math.hypot(*f) for v in f), *(weight * v for v in p)]
        for f, p in zip(features.tolist(), points.tolist(), strict=True)
    ]
    found = select_points_to_label(features, points, 1, position_weight=weight)
    assert found.tolist() == [nearest_to_mean(rows)]


def test_one_label_by_input_goes_to_the_point_nearest_the_mean_of_all():
    _, points = scene(0, 2000)
    colors = torch.rand(2000, 3, generator=torch.Generator().manual_seed(1))
    rows = torch.cat([colors, points], dim=1).tolist()
    assert select_points_by_input(colors, points, 1).tolist() == [nearest_to_mean(rows)]


def test_centres_are_means_of_their_points_in_the_end():
    """The fixed point of Lloyd's iteration, over all of 3,000 rows: faiss would draw 1,280."""
    rows = torch.cat(scene(1, 3000, 2), dim=1)
    centres = active_labeling._k_means(rows, 5, 200, 0)
    owner = torch.cdist(rows, centres).argmin(dim=1)
    assert owner.unique().tolist() == [0, 1, 2, 3, 4]
    for i, centre in enumerate(centres):
        torch.testing.assert_close(centre, rows[owner == i].mean(dim=0), rtol=0, atol=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 12), st.data())
def test_each_centre_takes_its_nearest_free_row(seed, n, data):
    """Rows on a coarse grid, so that many are equal and equally near."""
    k = data.draw(st.integers(1, n))
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, 3, (n, 2), generator=generator).float()
    centres = torch.randint(0, 3, (k, 2), generator=generator).float()
    taken: list[int] = []
    for centre in centres.tolist():
        free = [i for i in range(n) if i not in taken]
        taken.append(min(free, key=lambda i: math.dist(rows[i].tolist(), centre)))
    assert active_labeling._distinct_nearest(rows, centres).tolist() == sorted(taken)


@given(st.integers(0, 10_000), st.integers(1, 40), st.data())
def test_rows_are_distinct_ascending_and_as_many_as_asked(seed, n, data):
    n_labels = data.draw(st.integers(1, n))
    features, points = scene(seed, n)
    for found in (
        select_points_to_label(features, points, n_labels, seed=seed),
        select_points_by_input(features[:, :3].sigmoid(), points, n_labels, seed=seed),
        select_points_at_random(n, n_labels, seed=seed),
    ):
        assert found.dtype == torch.int64
        assert found.tolist() == sorted(set(found.tolist()))
        assert len(found) == n_labels
        assert found.min() >= 0
        assert found.max() < n


def lloyd(rows: list[list[float]], k: int, n_iterations: int) -> list[list[float]]:
    """Centres after so many iterations of plain loops, from the first rows on."""
    centres = rows[:k]
    for _ in range(n_iterations):
        owner = [min(range(k), key=lambda j: math.dist(row, centres[j])) for row in rows]
        members = [[row for row, o in zip(rows, owner, strict=True) if o == j] for j in range(k)]
        centres = [
            [sum(column) / len(found) for column in zip(*found, strict=True)] if found else centre
            for found, centre in zip(members, centres, strict=True)
        ]
    return centres


@given(st.integers(0, 10_000), st.integers(1, 25), st.integers(1, 5), st.data())
def test_reference_is_the_published_program(seed, n, n_iterations, data):
    """Each row is nearest to a centre and each centre has one; of two as near either will do."""
    n_labels = data.draw(st.integers(1, n))
    features, points = (one.double() for one in scene(seed, n, 3))
    colors = features.sigmoid()
    for column in (features, colors, points):
        column[:2] = column[0].clone()  # equal rows: a centre that nothing belongs to
    rows = torch.cat([points, 255 * colors, features], dim=1).tolist()
    found = select_points_csc_reference(
        features, colors, points, n_labels, n_iterations=n_iterations
    ).tolist()
    assert found == sorted(set(found))
    missing = set(found)
    for centre in lloyd(rows, n_labels, n_iterations - 1):
        distance = [math.dist(row, centre) for row in rows]
        nearest = {i for i in range(n) if distance[i] <= min(distance) + 1e-9}
        assert nearest & set(found)
        missing -= nearest
    assert not missing


def test_equal_points_are_not_named_twice():
    features, points = torch.ones(50, 4), torch.ones(50, 3)
    assert len(select_points_to_label(features, points, 7).unique()) == 7
    assert len(select_points_by_input(points, points, 50).unique()) == 50


def test_more_objects_are_covered_than_at_random():
    """40 objects of 10 to 2,000 points, each near a place and a feature of its own (Fig. 7)."""
    generator = torch.Generator().manual_seed(0)
    sizes = (10 * 200 ** torch.rand(40, generator=generator)).long()
    instances = torch.arange(40).repeat_interleave(sizes)
    features = torch.randn(40, 16, generator=generator)
    points = 6 * torch.rand(40, 3, generator=generator)
    features = features[instances] + torch.randn(len(instances), 16, generator=generator) / 2
    points = points[instances] + torch.randn(len(instances), 3, generator=generator) / 4
    chosen = object_coverage(select_points_to_label(features, points, 40), instances)
    assert chosen > object_coverage(select_points_at_random(len(instances), 40), instances) + 0.1


def test_far_coordinates_change_nothing():
    features, points = scene(2, 300)
    points = (points * 64).round() / 64  # so that adding 10,000 km is exact in float64
    found = select_points_to_label(features, points.double(), 20)
    far = points.double() + torch.tensor([1e7, -1e7, 512.0])
    assert torch.equal(select_points_to_label(features, far, 20), found)
    colors = features[:, :3].sigmoid()
    found = select_points_by_input(colors, points.double(), 20)
    assert torch.equal(select_points_by_input(colors, far, 20), found)


def test_length_of_features_does_not_matter():
    features, points = scene(3, 300)
    scale = 2.0 ** torch.randint(-4, 5, (300, 1), generator=torch.Generator().manual_seed(0))
    found = select_points_to_label(features, points, 20)
    assert torch.equal(select_points_to_label(scale * features, points, 20), found)


def test_weight_decides_between_features_and_position():
    features, points = scene(4, 300)
    other_features, other_points = scene(5, 300)
    found = select_points_to_label(features, points, 20, position_weight=0.0)
    moved = select_points_to_label(features, other_points, 20, position_weight=0.0)
    assert torch.equal(found, moved)
    by_position = [  # a feature is a hundred-thousandth of a metre
        set(select_points_to_label(f, points, 20, position_weight=1e5).tolist())
        for f in (features, other_features)
    ]
    assert by_position[0] == by_position[1]
    assert by_position[0] != set(found.tolist())


def test_a_seed_gives_the_same_rows_whatever_the_threads():
    features, points = scene(6, 5000)
    n_threads, found = faiss.omp_get_max_threads(), []
    for n in (1, 2, 3):
        faiss.omp_set_num_threads(n)
        found.append(select_points_to_label(features, points, 40, seed=3))
    faiss.omp_set_num_threads(n_threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], select_points_to_label(features, points, 40, seed=4))


def test_iterations_move_the_centres():
    features, points = scene(7, 1000)
    short, long = (select_points_to_label(features, points, 20, n_iterations=n) for n in (1, 50))
    assert not torch.equal(short, long)


@pytest.mark.parametrize("n_labels", [2, 30, 40])
def test_nothing_is_printed(capfd, n_labels):
    """Neither below 39 points a centre, nor with as many centres as points."""
    features, points = scene(8, 40)
    select_points_to_label(features, points, n_labels)
    assert capfd.readouterr() == ("", "")


def test_half_precision_and_gradients_are_taken():
    features, points = scene(9, 50)
    found = select_points_to_label(features.half().requires_grad_(), points, 5)
    assert torch.equal(found, select_points_to_label(features.half().float(), points, 5))


def test_random_rows_are_uniform():
    counts = torch.zeros(5)
    for seed in range(1000):
        counts[select_points_at_random(5, 2, seed=seed)] += 1
    assert (counts - 400).abs().max() < 80  # five deviations of a binomial with p = 2 / 5
    drawn = [select_points_at_random(1000, 5, seed=seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@given(st.integers(0, 10_000), st.integers(0, 12), st.integers(0, 12))
def test_coverage_is_that_of_a_loop(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    instances = torch.randint(-1, 4, (n,), generator=generator)
    selected = torch.randint(0, max(n, 1), (m if n else 0,), generator=generator)
    present = {i for i in instances.tolist() if i >= 0}
    hit = {instances[i].item() for i in selected.tolist() if instances[i] >= 0}
    found = object_coverage(selected, instances)
    assert math.isnan(found) if not present else found == len(hit) / len(present)


def test_without_faiss_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'pcl-contrastive\[select\]'"):
        select_points_to_label(*scene(0, 3), 2)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "n_labels", "options", "message"),
    [
        (0.5, 0, {}, r"n_labels must lie in \[1, 4\], got 0"),
        (0.5, 5, {}, r"n_labels must lie in \[1, 4\], got 5"),
        (0.5, 2, {"n_iterations": 0}, "n_iterations must be at least 1, got 0"),
        (NAN, 2, {}, "must be finite, got NaN or infinity"),
        (INF, 2, {}, "must be finite, got NaN or infinity"),
        (0.5, 2, {"position_weight": -1.0}, "position_weight must be finite and not negative"),
        (0.5, 2, {"position_weight": NAN}, "position_weight must be finite and not negative"),
        (0.5, 2, {"position_weight": INF}, "position_weight must be finite and not negative"),
    ],
)
def test_rejects(value, n_labels, options, message):
    with pytest.raises(ValueError, match=message):
        select_points_to_label(torch.ones(4, 2), torch.full((4, 3), value), n_labels, **options)
    if "position_weight" not in options:
        colors, points = torch.ones(4, 3), torch.full((4, 3), value)
        with pytest.raises(ValueError, match=message):
            select_points_by_input(colors, points, n_labels, **options)
        with pytest.raises(ValueError, match=message):
            select_points_csc_reference(colors, colors, points, n_labels, **options)


def test_rejects_features_that_are_not_finite():
    with pytest.raises(ValueError, match="features must be finite, and their lengths"):
        select_points_to_label(torch.full((4, 2), NAN), torch.ones(4, 3), 2)


@pytest.mark.parametrize("value", [-0.5, 255.0, NAN])
def test_rejects_colors_outside_the_unit_range(value):
    with pytest.raises(ValueError, match=r"colors must lie in \[0, 1\], got"):
        select_points_by_input(torch.full((4, 3), value), torch.ones(4, 3), 2)
    with pytest.raises(ValueError, match=r"colors must lie in \[0, 1\], got"):
        select_points_csc_reference(
            torch.ones(4, 2), torch.full((4, 3), value), torch.ones(4, 3), 2
        )


def test_rejects_more_random_rows_than_there_are():
    with pytest.raises(ValueError, match=r"n_labels must lie in \[1, 3\], got 4"):
        select_points_at_random(3, 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rows_are_on_the_device_of_the_features():
    features, points = scene(1, 200)
    found = select_points_to_label(features.cuda(), points.cuda(), 5)
    assert found.is_cuda
    assert len(found.unique()) == 5
