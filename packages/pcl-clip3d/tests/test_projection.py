"""Tests of pcl_clip3d.projection."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_clip3d.projection import (
    check_principal_point,
    depth_buffer,
    nearest_pixels,
    project_points,
    visible_points,
)

INTRINSICS = torch.tensor([[100.0, 0, 32], [0, 120, 24], [0, 0, 1]])
SIZE = (48, 64)


def random_pose(generator, *, at=(0.0, 0, 0)):
    """A rigid transform in double precision; the camera sits at `at`."""
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    rotation = q * r.diagonal().sign()
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = rotation * torch.linalg.det(rotation).sign()
    pose[:3, 3] = torch.tensor(at, dtype=torch.float64)
    return pose


def projected(point, intrinsics, pose):
    """The equation for one point, in Python's numbers: solve p = R x + c, then divide."""
    difference = [point[i] - pose[i][3] for i in range(3)]
    x, y, z = (sum(pose[j][i] * difference[j] for j in range(3)) for i in range(3))
    (fx, skew, cx), (_, fy, cy), _ = intrinsics
    return (fx * x + skew * y) / z + cx, fy * y / z + cy, z


def test_the_equation():
    generator = torch.Generator().manual_seed(0)
    pose = random_pose(generator, at=(1.0, -2, 0.5))
    intrinsics = INTRINSICS.double() + torch.tensor([[0.0, 0.5, 0], [0, 0, 0], [0, 0, 0]])
    points = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    pixels, depth = project_points(points, intrinsics, pose)
    for point, pixel, z in zip(points.tolist(), pixels.tolist(), depth.tolist(), strict=True):
        expected = projected(point, intrinsics.tolist(), pose.tolist())
        assert [*pixel, z] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_a_pixel_and_its_depth_lead_back_to_the_point(seed):
    generator = torch.Generator().manual_seed(seed)
    pose = random_pose(generator, at=torch.randn(3, generator=generator).tolist())
    points = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    pixels, depth = project_points(points, INTRINSICS, pose)
    rays = torch.cat([pixels, torch.ones(9, 1)], dim=1) * depth[:, None]
    camera = rays @ torch.linalg.inv(INTRINSICS.double()).T
    torch.testing.assert_close(camera @ pose[:3, :3].T + pose[:3, 3], points)


def test_far_from_the_origin_single_precision_stays_below_a_tenth_of_a_millimetre():
    generator = torch.Generator().manual_seed(1)
    pose = random_pose(generator, at=(800.1, -900.2, 40.3))
    near = pose[:3, 3] + 3 * torch.randn(1000, 3, generator=generator, dtype=torch.float64)
    points = near.float()  # rounded to 0.03 mm, which is not the error that is measured here
    exact, ours = (project_points(p, INTRINSICS, pose) for p in (points.double(), points))
    assert (ours.depth - exact.depth).abs().max() < 2e-6
    in_view = exact.depth > 0.5
    assert (ours.pixels - exact.pixels)[in_view].abs().max() < 1e-3
    assert ours.pixels.dtype == ours.depth.dtype == torch.float32


def test_points_beside_and_behind_the_camera_have_no_positive_depth():
    points = torch.tensor([[0.0, 0, -1], [1, 0, 0], [0, 0, 1]])
    _, depth = project_points(points, INTRINSICS, torch.eye(4))
    assert (depth > 0).tolist() == [False, False, True]


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one(n):
    pixels, depth = project_points(torch.ones(n, 3), INTRINSICS, torch.eye(4))
    assert (pixels.shape, depth.shape) == ((n, 2), (n,))
    assert visible_points(pixels, depth, SIZE).shape == (n,)
    assert (depth_buffer(pixels, depth, SIZE) > 0).any() == (n == 1 and pixels[0, 0] < 64)


def changed(matrix, row, column, value):
    matrix = matrix.clone()
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("intrinsics", "pose", "message"),
    [
        (changed(INTRINSICS, 0, 2, math.nan), torch.eye(4), "intrinsics must be finite"),
        (changed(INTRINSICS, 1, 1, -5), torch.eye(4), r"positive focal lengths, got \[100.0, -5.0"),
        (changed(INTRINSICS, 2, 0, 1), torch.eye(4), "the last row 0 0 1, got .1.0, 0.0, 1.0"),
        (INTRINSICS, torch.full((4, 4), -math.inf), "camera_to_world must be finite, got .*-inf"),
        (INTRINSICS, changed(torch.eye(4), 0, 0, 1.01), "camera_to_world must be a rigid"),
        (INTRINSICS, changed(torch.eye(4), 0, 0, -1), "camera_to_world must be a rigid"),
        (INTRINSICS, changed(torch.eye(4), 3, 0, 1), "camera_to_world must be a rigid"),
        (INTRINSICS[:2], torch.eye(4), r"intrinsics must have shape \(3, 3\), got \(2, 3\)"),
    ],
)
def test_a_camera_that_is_none_is_refused(intrinsics, pose, message):
    with pytest.raises(ValueError, match=message):
        project_points(torch.ones(1, 3), intrinsics, pose)


def test_a_pose_of_rounded_numbers_is_taken():
    turn = torch.tensor([[0.6, -0.8, 0, 1], [0.8, 0.6002, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]])
    project_points(torch.ones(1, 3), INTRINSICS, turn)


def test_a_point_that_is_nowhere_is_refused():
    with pytest.raises(ValueError, match="points must be finite"):
        project_points(torch.tensor([[0, 0, math.nan]]), INTRINSICS, torch.eye(4))


def seen(pixel, z, image, *, absolute=0.05, relative=0.0, border=0, near=0.0):
    """The rule for one point."""
    column, row = (math.floor(x + 0.5) for x in pixel)
    height, width = SIZE
    if z <= near or not (border <= column < width - border and border <= row < height - border):
        return False
    d = float(image[row, column])
    return d > 0 and abs(d - z) <= absolute + relative * d


@pytest.mark.parametrize(
    "options",
    [{}, {"border": 10}, {"near": 1.5}, {"absolute": 0.0, "relative": 0.25}, {"relative": 0.1}],
)
def test_visibility_is_the_rule(options):
    generator = torch.Generator().manual_seed(2)
    pixels = torch.rand(4000, 2, generator=generator) * torch.tensor([80.0, 60]) - 8
    depth = 4 * torch.rand(4000, generator=generator) - 0.5
    image = 1 + 2 * torch.rand(SIZE, generator=generator)
    image[torch.rand(SIZE, generator=generator) < 0.3] = 0
    pixels[:200] = pixels[:200].floor() + 0.5  # on the edge between two pixels
    names = {"absolute": "absolute_tolerance", "relative": "relative_tolerance"}
    given_ = {names.get(name, name): value for name, value in options.items()}
    ours = visible_points(pixels, depth, SIZE, depth_image=image, **given_)
    rows = zip(pixels.tolist(), depth.tolist(), strict=True)
    assert ours.tolist() == [seen(pixel, z, image, **options) for pixel, z in rows]
    assert 10 < ours.sum() < 2000


def test_the_edges_of_the_image_are_half_a_pixel_beyond_its_centres():
    x = torch.tensor([-0.51, -0.5, 0, 63, 63.49, 63.5, math.nan, math.inf, -math.inf])
    pixels = torch.stack([x, torch.full_like(x, 24)], dim=1)
    visible = visible_points(pixels, torch.ones(9), SIZE)
    assert visible.tolist() == [False, True, True, True, True, False, False, False, False]
    visible = visible_points(pixels.flip(1), torch.ones(9), SIZE[::-1])
    assert visible.tolist() == [False, True, True, True, True, False, False, False, False]


def test_a_missing_depth_sees_nothing_at_any_tolerance():
    pixels, depth, nothing = torch.zeros(1, 2), torch.ones(1), torch.zeros(SIZE)
    assert not visible_points(pixels, depth, SIZE, depth_image=nothing, absolute_tolerance=9)


def test_the_camera_itself_is_not_in_front_of_it():
    assert not visible_points(torch.zeros(1, 2), torch.zeros(1), SIZE)
    assert not visible_points(torch.zeros(1, 2), torch.tensor([-1.0]), SIZE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (0, 64)}, r"image_size must be positive, got \(0, 64\)"),
        ({"border": -1}, "border must be at least 0, got -1"),
        ({"near": math.nan}, "near must be at least 0, got nan"),
        ({"absolute_tolerance": -0.1}, "absolute_tolerance must be at least 0, got -0.1"),
        ({"relative_tolerance": -1}, "relative_tolerance must be at least 0, got -1"),
        ({"depth_image": torch.ones(64, 48)}, r"shape \(48, 64\) as of image_size, got \(64, 48\)"),
        ({"depth_image": torch.full(SIZE, math.inf)}, "depth_image must be finite and at least 0"),
        ({"depth_image": -torch.ones(SIZE)}, r"at least 0, got \[-1, -1\]"),
    ],
)
def test_a_view_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        visible_points(torch.zeros(1, 2), torch.ones(1), **({"image_size": SIZE} | options))


def half_width(z, splat):
    """The rule for one point."""
    size = 2.0 ** round(math.log2(splat / z)) if splat else 0
    return int(min(size, 64)) if size >= 1 else 0


@pytest.mark.parametrize("splat", [0, 0.7, 2, 9.5])
def test_each_pixel_has_the_nearest_point_whose_square_covers_it(splat):
    generator = torch.Generator().manual_seed(0)
    height, width = 9, 14
    pixels = torch.rand(60, 2, generator=generator) * torch.tensor([30.0, 25]) - 8
    depth = torch.where(torch.arange(60) % 6 == 0, -1, 2 + 30 * torch.rand(60, generator=generator))
    pixels[0], depth[1] = math.nan, 0
    expected = torch.zeros(height, width)
    for (x, y), z in zip(pixels.tolist(), depth.tolist(), strict=True):
        if z <= 0 or math.isnan(x):
            continue
        column, row, half = math.floor(x + 0.5), math.floor(y + 0.5), half_width(z, splat)
        for i in range(max(row - half, 0), min(row + half + 1, height)):
            for j in range(max(column - half, 0), min(column + half + 1, width)):
                if expected[i, j] == 0 or z < expected[i, j]:
                    expected[i, j] = z
    image = depth_buffer(pixels, depth, (height, width), splat=splat)
    torch.testing.assert_close(image, expected, rtol=0, atol=0)
    assert len(image.unique()) > 5


def test_a_point_covers_at_most_64_pixels_to_each_side_and_those_far_outside_nothing():
    place = torch.tensor([[-64.0, 0]])
    image = depth_buffer(place, torch.tensor([1e-6]), (1, 3), splat=10)
    assert (image > 0).tolist() == [[True, False, False]]
    assert depth_buffer(place - 1, torch.tensor([1e-6]), (1, 3), splat=10).max() == 0


def test_a_wall_of_points_hides_what_is_behind_it():
    grid = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="xy"), -1)
    wall = grid.view(-1, 2)[::3]  # every third pixel, which the squares close
    pixels = torch.cat([wall, torch.tensor([[30.4, 20.4], [31.0, 20.0]])])
    depth = torch.cat([torch.full((len(wall),), 2.0), torch.tensor([3.0, 1.0])])
    buffer = depth_buffer(pixels, depth, SIZE, splat=4)
    visible = visible_points(pixels, depth, SIZE, depth_image=buffer)
    assert visible[-2:].tolist() == [False, True]
    assert visible.float().mean() > 0.97  # but for the square of the near point


def test_a_buffer_is_refused_for_what_is_none():
    for splat in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"splat must be finite and at least 0, got {splat}"):
            depth_buffer(torch.zeros(1, 2), torch.ones(1), SIZE, splat=splat)
    with pytest.raises(ValueError, match="image_size must be positive"):
        depth_buffer(torch.zeros(1, 2), torch.ones(1), (3, 0))


def test_pixels_are_rows_and_columns():
    pixels = torch.tensor([[3.49, 7.5], [-0.4, 0]])
    assert nearest_pixels(pixels).tolist() == [[8, 3], [0, 0]]


def test_a_principal_point_outside_the_image_is_refused():
    check_principal_point(INTRINSICS, SIZE)
    for size in ((48, 32), (24, 64)):
        with pytest.raises(ValueError, match=r"principal point inside .* got \(32, 24\); scale"):
            check_principal_point(INTRINSICS, size)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_sees_the_same():
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(1000, 3, generator=generator) + torch.tensor([0, 0, 2.0])
    pose = torch.eye(4)
    for device in ("cpu", "cuda"):
        pixels, depth = project_points(points.to(device), INTRINSICS, pose)
        buffer = depth_buffer(pixels, depth, SIZE)
        visible = visible_points(pixels, depth, SIZE, depth_image=buffer, relative_tolerance=0.1)
        if device == "cpu":
            expected = visible
    assert (visible.cpu() == expected).float().mean() > 0.995  # pixels at edges may round apart
