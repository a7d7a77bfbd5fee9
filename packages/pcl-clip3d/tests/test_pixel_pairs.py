"""Tests of pcl_clip3d.pixel_pairs."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_clip3d.pixel_pairs import Crop, PixelPairs, crop_pairs, draw_crop, flip_pairs, pair_pixels

INTRINSICS = torch.tensor([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])
SIZE = (48, 64)


def room(n=400, seed=0):
    """Points of a wall 3 m away and of another one behind it."""
    generator = torch.Generator().manual_seed(seed)
    xy = 2 * torch.rand(n, 2, generator=generator) - 1
    z = torch.where(torch.arange(n) % 2 == 0, 3.0, 4.0)
    return torch.cat([xy, z[:, None]], dim=1)


def random_pairs(n=500, seed=0, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    pixels = [torch.randint(side, (n,), generator=generator) for side in size]
    return PixelPairs(torch.arange(n) * 2, torch.stack(pixels, dim=1))


def test_every_visible_point_is_paired_with_the_pixel_it_falls_on():
    points, depth_image = room(), torch.full(SIZE, 3.02)
    pairs = pair_pixels(points, INTRINSICS, torch.eye(4), SIZE, depth_image=depth_image)
    assert pairs.point_index.tolist() == list(range(0, 400, 2))
    for point, pixel in zip(points[pairs.point_index], pairs.pixel_index.tolist(), strict=True):
        x, y, z = point.tolist()
        expected = [math.floor(50 * y / z + 24), math.floor(50 * x / z + 32)]
        assert pixel == expected


def test_occlusion_is_of_other_points_or_none():
    points = room(4000)
    everything = pair_pixels(points, INTRINSICS, torch.eye(4), SIZE, occlusion="none")
    assert everything.point_index.tolist() == list(range(4000))
    hidden = pair_pixels(points, INTRINSICS, torch.eye(4), SIZE, point_size=0.06)
    assert hidden.point_index.tolist() == list(range(0, 4000, 2))
    small = pair_pixels(points, INTRINSICS, torch.eye(4), SIZE, point_size=0)
    assert 2000 < len(small.point_index) < 3000  # a pixel a point leaves gaps


def test_a_floor_that_recedes_does_not_hide_itself():
    grid = torch.stack(torch.meshgrid(torch.arange(-40, 41), torch.arange(40, 200), indexing="xy"))
    x, z = 0.03 * grid.view(2, -1)
    floor = torch.stack([x, torch.full_like(x, 1.5), z], dim=1)
    camera = torch.tensor([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    pairs = [
        pair_pixels(floor, camera, torch.eye(4), (480, 640), **options)
        for options in ({"occlusion": "none"}, {}, {"relative_tolerance": 0.0})
    ]
    everything, default, without = (len(pair.point_index) for pair in pairs)
    assert without < 0.9 * everything < 0.99 * everything < default


def test_options_reach_the_test_of_visibility():
    points, wall = room(), torch.full(SIZE, 3.5)

    def count(**options):
        options = {"depth_image": wall, "absolute_tolerance": 0.0} | options
        return len(pair_pixels(points, INTRINSICS, torch.eye(4), SIZE, **options).point_index)

    assert (count(), count(relative_tolerance=0.15)) == (0, 400)
    assert count(relative_tolerance=0.15, near=3.5) == 200
    assert count(relative_tolerance=0.15, border=12) < 400


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one(n):
    pairs = pair_pixels(room(n), INTRINSICS, torch.eye(4), SIZE)
    assert (pairs.point_index.shape, pairs.pixel_index.shape) == ((n,), (n, 2))
    assert crop_pairs(pairs, Crop(0, 0, 48, 64), (6, 8)).pixel_index.shape == (n, 2)
    assert flip_pairs(pairs, 64).pixel_index.shape == (n, 2)


def test_a_camera_that_looks_away_has_no_pairs():
    away = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    assert len(pair_pixels(room(), INTRINSICS, away, SIZE).point_index) == 0


def test_a_view_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"inside the image of 20 x 64 pixels, got \(31.5, 23.5\)"):
        pair_pixels(room(), INTRINSICS, torch.eye(4), (20, 64))
    with pytest.raises(ValueError, match="camera_to_world must be finite"):
        pair_pixels(room(), INTRINSICS, torch.full((4, 4), math.inf), SIZE)
    with pytest.raises(ValueError, match=r"depth_image must have shape \(48, 64\)"):
        pair_pixels(room(), INTRINSICS, torch.eye(4), SIZE, depth_image=torch.ones(24, 32))


def test_an_unknown_occlusion_is_refused():
    unchecked = inspect.unwrap(pair_pixels)  # users run without the checks of the tests
    with pytest.raises(ValueError, match="occlusion must be 'none' or 'buffer', got 'depth'"):
        unchecked(room(), INTRINSICS, torch.eye(4), SIZE, occlusion="depth")


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 50))
def test_cropped_pairs_are_those_of_the_resized_crop(seed, height, width):
    pairs, output = random_pairs(50, seed), (20, 30)
    crop = Crop(seed % (49 - height), seed % (65 - width), height, width)
    cropped = crop_pairs(pairs, crop, output)
    expected = []
    for point, (row, column) in zip(
        pairs.point_index.tolist(), pairs.pixel_index.tolist(), strict=True
    ):
        y, x = (row + 0.5 - crop.top) / height, (column + 0.5 - crop.left) / width
        if 0 < y < 1 and 0 < x < 1:
            expected.append([point, math.floor(20 * y + 1e-9), math.floor(30 * x + 1e-9)])
    assert torch.column_stack(cropped).tolist() == expected


def test_the_whole_image_is_a_crop_that_changes_nothing():
    pairs = random_pairs()
    same = crop_pairs(pairs, Crop(0, 0, *SIZE), SIZE)
    assert torch.equal(same.pixel_index, pairs.pixel_index)
    assert torch.equal(same.point_index, pairs.point_index)


def test_a_mirrored_image_shows_the_same_at_the_mirrored_pixels():
    pairs, image = random_pairs(), torch.rand(SIZE)
    mirrored = flip_pairs(pairs, 64)
    assert torch.equal(
        image.flip(1)[mirrored.pixel_index.unbind(1)], image[pairs.pixel_index.unbind(1)]
    )
    assert torch.equal(flip_pairs(mirrored, 64).pixel_index, pairs.pixel_index)


def test_crops_have_the_areas_and_the_shapes_that_are_asked_for():
    pairs, size = random_pairs(size=(480, 640)), (480, 640)
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        crop = draw_crop(pairs, size, n_tries=1, generator=generator)
        assert 0 <= crop.top <= size[0] - crop.height
        assert 0 <= crop.left <= size[1] - crop.width
        if crop.width < 640:  # not cut
            assert 0.299 < crop.height * crop.width / (480 * 640) <= 1.001
            assert 14 / 9 - 0.01 < crop.width / crop.height < 17 / 9 + 0.01


def test_places_and_areas_of_crops_are_spread_over_their_ranges():
    pairs, generator = random_pairs(1), torch.Generator().manual_seed(0)
    crops = [
        draw_crop(pairs, (100, 100), area=(0.2, 0.4), ratio=(1, 1), n_tries=1, generator=generator)
        for _ in range(400)
    ]
    share = torch.tensor([crop.height * crop.width / 10_000 for crop in crops])
    assert abs(share.mean() - 0.3) < 0.01
    for start, side in ((crop.top, crop.height) for crop in crops):
        assert start + side <= 100
    places = torch.tensor([crop.left / (100 - crop.width) for crop in crops])
    assert abs(places.mean() - 0.5) < 0.05
    assert (places.min() < 0.05, places.max() > 0.95) == (True, True)


def in_crop(pairs, crop):
    return len(crop_pairs(pairs, crop, (10, 10)).point_index)


def test_the_first_crop_with_enough_pairs_is_taken_and_else_the_best():
    corner = PixelPairs(torch.arange(8), torch.zeros(8, 2, dtype=torch.int64))
    small = {"area": (0.05, 0.2), "ratio": (1, 1)}
    for seed in range(20):
        generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
        first = draw_crop(corner, (9, 9), n_tries=1, generator=generators[0], **small)
        found = draw_crop(corner, (9, 9), n_tries=400, generator=generators[1], **small)
        assert in_crop(corner, found) == 8  # a corner is met once in some 50 crops
        if in_crop(corner, first) == 8:
            assert found == first
    spread = random_pairs(3000)
    generators = [torch.Generator().manual_seed(5) for _ in range(3)]
    first, best = (
        draw_crop(
            spread, SIZE, n_tries=n, generator=g, min_share=1, min_pairs=3000, area=(0.3, 0.9)
        )
        for n, g in zip((1, 50), generators[:2], strict=True)
    )
    assert in_crop(spread, best) > in_crop(spread, first)
    enough = draw_crop(
        spread, SIZE, n_tries=50, generator=generators[2], min_pairs=100, area=(0.3, 0.9)
    )
    assert enough == first


def test_an_image_without_pairs_has_a_crop():
    nothing = PixelPairs(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2, dtype=torch.int64))
    assert draw_crop(nothing, SIZE).height <= 48


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (0, 5)}, "image_size must be positive"),
        ({"area": (0.5, 1.5)}, r"area must be a range in \(0, 1\], got \(0.5, 1.5\)"),
        ({"area": (0.5, 0.2)}, "area must be a range"),
        ({"ratio": (0, 2)}, r"ratio must be a range of positive numbers, got \(0, 2\)"),
        ({"n_tries": 0}, "n_tries must be at least 1, got 0"),
    ],
)
def test_crops_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_crop(random_pairs(), **({"image_size": SIZE} | options))


def test_pairs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"crop and output_size must be positive, got .*\(0, 4\)"):
        crop_pairs(random_pairs(), Crop(0, 0, 5, 5), (0, 4))
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 32\), got"):
        flip_pairs(random_pairs(), 32)
