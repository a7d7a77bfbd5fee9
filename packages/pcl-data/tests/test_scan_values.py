"""Tests of pcl_data.scan_values: what most of the numbers say decides, and the rest is counted."""

import warnings

import numpy as np
import pytest

from pcl_data.scan_values import (
    eight_bit_colors,
    faces_of_points,
    far_origin,
    full_scale,
    known_normals,
    near_points,
    unit_intensity,
    whole_ids,
)

LEVELS = np.arange(255, dtype=np.uint8).reshape(85, 3)


@pytest.mark.parametrize(
    "colors",
    [
        LEVELS,
        LEVELS.astype(np.int64),
        LEVELS.astype(np.float32),
        (LEVELS / 255).astype(np.float32),
        LEVELS / 255,
        LEVELS.astype(np.uint16) * 257,
        LEVELS.astype(np.uint16) * 256,
        LEVELS.astype(np.float64) * 257,  # text
        LEVELS + 0.3,
    ],
    ids=["u1", "i8", "f4", "f4 fractions", "f8 fractions", "u2", "las", "text", "rounded"],
)
def test_colours_of_every_scale_are_the_same(colors):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(eight_bit_colors(colors, "a.ply"), LEVELS)


@pytest.mark.parametrize(
    ("colors", "odd", "expected", "says"),
    [
        (LEVELS / np.float32(255), 1.0000001, 255, None),
        (LEVELS / np.float32(255), 1.5, 255, "1 of 85 colours lie outside [0, 1], like [1.5"),
        (LEVELS / 255, -0.2, 0, "1 of 85 colours lie outside [0, 1]"),
        (LEVELS + 0.25, 255.3, 255, None),
        (LEVELS.astype(np.int32), 300, 255, "1 of 85 colours lie outside [0, 255], like [300"),
        (LEVELS.astype(np.uint16) * 257, 3, 0, None),
        (LEVELS / 255, np.nan, 0, "1 of 85 colours are not finite: they become black"),
        (LEVELS / 255, np.inf, 0, "1 of 85 colours are not finite: they become black"),
    ],
)
def test_one_odd_colour_changes_no_other(colors, odd, expected, says):
    colors = colors.copy()
    colors[40, 0] = odd
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = eight_bit_colors(colors, "a.ply")
    others = np.arange(85) != 40
    np.testing.assert_array_equal(found[others], LEVELS[others])
    assert found[40, 0] == expected
    assert [f"a.ply: {says}" in str(each.message) for each in caught] == [True] * (says is not None)


def test_a_scan_that_is_mostly_black_keeps_its_scale():
    colors = np.zeros((1000, 3))
    colors[:5] = [[0.1, 0.5, 1]] * 5
    assert eight_bit_colors(colors, "a")[0].tolist() == [26, 128, 255]
    assert eight_bit_colors(colors * 65535, "a")[0].tolist() == [25, 127, 255]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (np.array([0, 1, 1]), 255),
        (np.array([0.0, 1, 1]), 1),
        (np.array([0.0, 1, 2]), 255),
        (np.array([0.5, 256.5]), 65535),
        (np.array([0.5, 1e6]), None),
        (np.zeros(3), 1),
        (np.zeros(0, np.uint16), 255),
    ],
)
def test_the_scale_is_the_least_that_holds_the_values(values, scale):
    assert full_scale(values, 0.9) == scale


@pytest.mark.parametrize(
    ("intensity", "expected"),
    [
        (np.array([0, 51, 255], np.uint8), [0, 0.2, 1]),
        (np.array([0, 13107, 65535], np.uint16), [0, 0.2, 1]),
        (np.array([0, 0.2, 1], np.float32), [0, 0.2, 1]),
        (np.array([0, 51, 255.0]), [0, 0.2, 1]),
        (np.array([-2048, -1229, 2047]), [0, 0.2, 1]),
    ],
)
def test_intensity_is_a_fraction_of_its_scale(intensity, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = unit_intensity(intensity, "a.las")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_odd_intensities_are_counted_and_unknown_scales_left_out():
    values = np.linspace(0, 1, 2000)
    values[[3, 4]] = np.nan, 1.25
    with pytest.warns(UserWarning, match="1 of 2000 intensities") as caught:
        found = unit_intensity(values, "a.ply")
    assert [found[3], found[4]] == [0, 1]
    assert len(caught) == 2
    with pytest.warns(UserWarning, match=r"intensity of \[-30.5, -2\] has no known scale"):
        assert unit_intensity(np.array([-30.5, -2]), "a.ply") is None


@pytest.mark.parametrize(
    ("ids", "n_known", "expected", "says"),
    [
        (np.array([np.nan, 2, np.inf]), None, [-1, 2, -1], "2 of 3 labels are not finite"),
        (np.array([-100, 2, -100, -1]), None, [-1, 2, -1, -1], "2 of 4 labels are -100"),
        (np.array([-1e9, 2.0]), None, [-1, 2], "1 of 2 labels are -1000000000"),
        (np.array([65535, 2], np.uint16), None, [-1, 2], "1 of 2 labels are 65535"),
        (np.array([255, 2], np.uint8), 20, [-1, 2], "1 of 2 labels are 255"),
        (np.array([255, 2], np.uint8), 256, [255, 2], None),
        (np.array([255, 2], np.uint8), None, [255, 2], None),
        (np.array([255, 2]), 20, [255, 2], None),
        (np.array([-2, -3]), None, [-2, -3], None),
    ],
)
def test_what_is_clearly_no_id_counts_as_none(ids, n_known, expected, says):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert whole_ids("labels", ids, "a.ply", n_known).tolist() == expected
    assert [str(each.message).startswith(f"a.ply: {says}") for each in caught] == [True] * bool(
        says
    )


def test_normals_that_are_not_finite_are_zero_and_the_others_stay():
    normals = np.array([[0, 0, 1], [np.nan, 0, 1], [0, np.inf, 0], [1, 0, 0.0]])
    with pytest.warns(UserWarning, match="a.ply: 2 of 4 normals are not finite"):
        found = known_normals(normals, "a.ply")
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_faces_follow_the_points_that_are_kept():
    faces = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    is_kept = np.array([False, True, True, True])
    with pytest.warns(UserWarning, match=r"1 of 3 faces name points outside \[0, 4\)"):
        assert faces_of_points(faces, is_kept, 4, "a.ply").tolist() == [[0, 1, 2]]


def test_arrays_that_fit_are_passed_on_as_they_are(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 3), np.float32))
    stored = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert near_points(stored, None) is stored
    assert known_normals(stored, "a") is stored


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float16, np.int64, np.float64])
def test_the_origin_of_any_type_is_whole_metres_near_the_bulk(dtype):
    points = np.array([[2000, 3, 0], [2010, 4, 0], [2020, 5, 0]], dtype)
    assert far_origin(points).tolist() == [2010, 4, 0]
    assert near_points(points, far_origin(points)).tolist() == [[-10, -1, 0], [0, 0, 0], [10, 1, 0]]


def test_an_origin_taken_off_is_not_found_again():
    points = np.random.default_rng(0).uniform(0, 5, (1001, 3))
    points += [4e5, 3e6, 0]
    points[0] = 0
    near = near_points(points, far_origin(points))
    assert np.abs(near).max() > 1e5  # the stray point
    assert far_origin(near) is None
