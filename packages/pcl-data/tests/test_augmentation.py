"""Tests of pcl_data.augmentation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pcl_data import augmentation
from pcl_data.augmentation import (
    chromatic_contrast,
    chromatic_jitter,
    chromatic_translation,
    drop_voxels,
    elastic_distortion,
    elastic_distortions,
    random_flip,
    random_rotation,
    random_scaling,
    random_shift,
)

generators = st.integers(0, 2**32).map(np.random.default_rng)


def cloud(n=50, dtype=np.float32):
    return np.random.default_rng(7).uniform(-1, 1, (n, 3)).astype(dtype)


class Scripted(np.random.Generator):
    """A generator whose next answers are written down."""

    def __init__(self, **answers):
        super().__init__(np.random.PCG64(0))
        for name, values in answers.items():
            setattr(self, name, lambda *_, _values=values, **__: _values.pop(0))


@given(generators)
def test_rotations_are_proper(generator):
    matrix = random_rotation(generator)
    assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) > 0


@given(generators)
def test_rotations_tilt_the_vertical_by_the_two_small_angles_at_most(generator):
    assert random_rotation(generator)[2, 2] >= np.cos(2 * np.pi / 64) - 1e-12


def test_rotation_by_hand():
    # A quarter turn about x first and then about z: y -> z -> z, x -> y.
    scripted = Scripted(permutation=[[0, 2, 1]], uniform=[np.pi / 2, np.pi / 2, 0.0])
    turned = np.array([[1.0, 0, 0], [0, 1, 0]]) @ random_rotation(scripted).T
    assert_allclose(turned, [[0, 1, 0], [0, 0, 1]], atol=1e-12)


def test_rotations_about_the_vertical_reach_all_directions():
    generator = np.random.default_rng(0)
    turns = [random_rotation(generator, max_angles=(0.0, 0.0, np.pi)) for _ in range(200)]
    image_of_x = np.array(turns)[:, :2, 0]
    assert (image_of_x.min(axis=0) < -0.95).all()
    assert (image_of_x.max(axis=0) > 0.95).all()


@given(generators)
def test_scaling_is_isotropic_and_in_bounds(generator):
    matrix = random_scaling(generator)
    assert 0.9 <= matrix[0, 0] <= 1.1
    assert_array_equal(matrix, np.eye(3) * matrix[0, 0])


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (1.1, 0.9)])
def test_bad_bounds_are_rejected(bounds):
    with pytest.raises(ValueError, match="bounds must be positive and ascending, got"):
        random_scaling(np.random.default_rng(0), bounds=bounds)


def test_flips_mirror_x_and_y_each_half_of_the_time():
    generator = np.random.default_rng(0)
    signs = np.array([np.diag(random_flip(generator)) for _ in range(2000)])
    assert (signs[:, 2] == 1).all()
    # 0.95 / 2 each, 0.95 / 4 both; three standard deviations are 0.034.
    assert_allclose((signs[:, :2] == -1).mean(axis=0), [0.475, 0.475], atol=0.034)
    assert_allclose((signs[:, :2] == -1).all(axis=1).mean(), 0.2375, atol=0.03)


def test_flips_can_be_switched_off():
    assert_array_equal(random_flip(np.random.default_rng(0), probability=0.0), np.eye(3))


def test_elastic_distortion_matches_the_definition():
    points, granularity = cloud(20, np.float64), 0.5
    got = elastic_distortion(points, granularity, 0.25, np.random.default_rng(3))
    low = points.min(axis=0)
    size = ((points - low).max(axis=0) // granularity).astype(int) + 3
    noise = np.random.default_rng(3).standard_normal((3, *size), dtype=np.float32).astype(float)
    for axis in (1, 2, 3) * 2:
        padded = np.pad(noise, [(int(a == axis),) * 2 for a in range(4)])
        parts = [np.take(padded, range(k, k + noise.shape[axis]), axis=axis) for k in range(3)]
        noise = sum(parts) / 3
    for point, moved in zip(points, got, strict=True):
        # The grid starts one cell before the lowest point.
        cell, part = np.divmod((point - low) / granularity + 1, 1)
        shift = np.zeros(3)
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1 - part))
            if weight > 0:
                x, y, z = cell.astype(int) + corner
                shift += weight * noise[:, x, y, z]
        assert_allclose(moved, point + 0.25 * shift, atol=1e-6)  # the noise is float32


def test_elastic_distortion_is_smooth_and_keeps_the_type():
    points = np.repeat(cloud(), 2, axis=0)
    points[1::2] += np.float32(1e-3)
    moved = elastic_distortion(points, 0.2, 0.4, np.random.default_rng(0))
    assert moved.dtype == np.float32
    shift = moved - points
    assert np.abs(shift).max() > 0.05
    assert np.abs(shift[::2] - shift[1::2]).max() < 0.02


def test_elastic_distortion_of_one_point_moves_it():
    moved = elastic_distortion(np.zeros((1, 3)), 0.2, 0.4, np.random.default_rng(0))
    assert moved.shape == (1, 3)
    assert (moved != 0).all()


def test_distortions_are_applied_all_or_none(monkeypatch):
    calls = []
    monkeypatch.setattr(
        augmentation, "elastic_distortion", lambda points, *how: calls.append(how[:2]) or points
    )
    generator = np.random.default_rng(0)
    for _ in range(200):
        elastic_distortions(np.ones((3, 3), np.float32), generator)
    assert set(calls) == {(0.2, 0.4), (0.8, 1.6)}
    assert abs(len(calls) / 2 - 190) < 10  # three standard deviations of 200 times 0.95


@pytest.mark.parametrize(
    ("n", "granularity", "message"),
    [
        (0, 0.2, "points must hold at least one point, got 0"),
        (1, 0.0, "granularity must be positive"),
    ],
)
def test_bad_elastic_distortions_are_rejected(n, granularity, message):
    with pytest.raises(ValueError, match=message):
        elastic_distortion(np.zeros((n, 3)), granularity, 0.4, np.random.default_rng(0))


@given(st.integers(0, 60), generators)
def test_dropping_keeps_four_fifths_in_order(n, generator):
    kept = drop_voxels(n, generator, probability=1.0)
    assert len(kept) == max(int(n * 0.8), min(n, 1))
    assert (np.diff(kept) > 0).all()
    assert set(kept) <= set(range(n))


def test_dropping_happens_one_time_in_five():
    generator = np.random.default_rng(0)
    times = sum(len(drop_voxels(10, generator)) == 8 for _ in range(1000))
    assert abs(times - 200) < 38  # three standard deviations


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_bad_fractions_are_rejected(fraction):
    with pytest.raises(ValueError, match=rf"fraction must lie in \[0, 1\), got {fraction}"):
        drop_voxels(10, np.random.default_rng(0), fraction=fraction)


def test_contrast_blends_with_the_stretched_colours():
    colors = np.array([[0.25, 0.5, 0], [0.5, 0.5, 1], [0.75, 0.5, 0.5]])
    changed = chromatic_contrast(colors, Scripted(random=[0.0, 0.5]))
    # Red stretches to 0, 0.5, 1; green has one value; blue is stretched already.
    assert_array_equal(changed, [[0.125, 0.5, 0], [0.5, 0.5, 1], [0.875, 0.5, 0.5]])


def test_translation_moves_all_points_alike():
    colors = np.full((4, 3), 0.5)
    changed = chromatic_translation(colors, np.random.default_rng(0), probability=1.0)
    assert (changed == changed[0]).all()
    assert len(set(changed[0])) == 3
    assert 0 < np.abs(changed - colors).max() <= 0.1


def test_jitter_has_the_deviation_asked_for():
    noise = (
        chromatic_jitter(np.full((3000, 3), 0.5), np.random.default_rng(0), probability=1.0) - 0.5
    )
    assert_allclose(noise.std(axis=0), 0.05, rtol=0.05)
    assert_allclose(noise.mean(axis=0), 0, atol=0.003)


COLOUR_CHANGES = [chromatic_contrast, chromatic_translation, chromatic_jitter]


@pytest.mark.parametrize("change", COLOUR_CHANGES)
@given(generators)
def test_colours_stay_float32_in_the_unit_range(change, generator):
    colors = np.random.default_rng(0).random((20, 3), dtype=np.float32)
    changed = change(colors, generator, probability=1.0)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize("change", COLOUR_CHANGES)
def test_colour_changes_can_be_switched_off_and_take_no_points(change):
    colors = np.random.default_rng(0).random((20, 3))
    assert_array_equal(change(colors, np.random.default_rng(0), probability=0.0), colors)
    assert change(colors[:0], np.random.default_rng(0), probability=1.0).shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "probability"), list(zip(COLOUR_CHANGES, [0.2, 0.95, 0.95], strict=True))
)
def test_colour_changes_happen_as_often_as_published(change, probability):
    generator = np.random.default_rng(0)
    colors = np.array([[0.25, 0.5, 0.5], [0.5, 0.25, 0.25]])
    times = sum((change(colors, generator) != colors).any() for _ in range(1000))
    deviation = np.sqrt(1000 * probability * (1 - probability))
    assert abs(times - 1000 * probability) < 3 * deviation


def test_shift_is_whole_the_same_for_all_and_reaches_its_bounds():
    coords, generator = np.array([[0, 0, 0], [5, -6, 7]], np.int32), np.random.default_rng(0)
    moved = np.array([random_shift(coords, generator, max_shift=3) for _ in range(60)])
    assert moved.dtype == np.int32
    assert_array_equal(moved[:, 1] - moved[:, 0], np.tile(coords[1], (60, 1)))
    assert (moved[:, 0].min(axis=0).tolist(), moved[:, 0].max(axis=0).tolist()) == (
        [0] * 3,
        [3] * 3,
    )


def test_the_same_seed_gives_the_same_change():
    def change(seed):
        return elastic_distortion(cloud(), 0.2, 0.4, np.random.default_rng(seed))

    assert_array_equal(change(1), change(1))
    assert (change(1) != change(2)).any()
