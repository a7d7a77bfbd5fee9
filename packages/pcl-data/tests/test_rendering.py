"""Tests of pcl_data.rendering."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from pcl_data.rendering import render_points, write_png

RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_the_nearer_point_hides_the_farther_one():
    points, colors = np.array([[0, 0, 0.0], [0, 0, 1.0]]), np.array([RED, BLUE], np.uint8)
    above = render_points(points, colors, width=9, height=9, elevation=np.pi / 2)
    assert tuple(above[4, 4]) == BLUE
    below = render_points(points, colors, width=9, height=9, elevation=-np.pi / 2)
    assert tuple(below[4, 4]) == RED


def test_up_is_up_and_left_is_left():
    # Seen from +x, +y is to the right and +z is up.
    points = np.array([[0, 1.0, 0], [0, -1.0, 0], [0, 0, 1.0], [0, 0, -1.0]])
    colors = np.array([[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]], np.uint8)
    image = render_points(points, colors, width=100, height=100, azimuth=0.0, elevation=0.0)[..., 0]
    right, left, top, bottom = (np.argwhere(image == k).mean(axis=0) for k in (1, 2, 3, 4))
    assert left[1] < 50 < right[1]
    assert top[0] < 50 < bottom[0]


def test_cut_and_normals_leave_points_out():
    points, colors = np.array([[0, 0, 0.0], [0, 0, 1.0]]), np.array([RED, BLUE], np.uint8)
    cut = render_points(points, colors, width=5, height=5, elevation=np.pi / 2, cut_above=0.5)
    assert tuple(cut[2, 2]) == RED
    normals = np.array([[0, 0, 1.0], [0, 0, -1.0]])
    culled = render_points(points, colors, width=5, height=5, elevation=np.pi / 2, normals=normals)
    assert tuple(culled[2, 2]) == RED


def test_the_order_of_points_does_not_matter():
    rng = np.random.default_rng(0)
    points, colors = rng.random((500, 3)), rng.integers(0, 256, (500, 3)).astype(np.uint8)
    order = rng.permutation(500)
    image = render_points(points, colors, width=40, height=30)
    assert image.shape == (30, 40, 3)
    assert_array_equal(image, render_points(points[order], colors[order], width=40, height=30))


def test_memory_does_not_grow_with_the_area_of_a_point():
    rng = np.random.default_rng(0)
    points, colors = rng.random((20_000, 3)), np.zeros((20_000, 3), np.uint8)
    tracemalloc.start()
    render_points(points, colors, width=1200, height=900)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6  # 49 pixels a point at once would take 50 MB


def test_a_png_reads_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    write_png(image, tmp_path / "picture.png")
    assert_array_equal(np.asarray(Image.open(tmp_path / "picture.png")), image)


def test_rejects():
    points, colors = np.zeros((1, 3)), np.zeros((1, 3), np.uint8)
    with pytest.raises(ValueError, match="width and height must be at least 1, got 0 and 5"):
        render_points(points, colors, width=0, height=5)
    with pytest.raises(ValueError, match="points must hold a visible one, got 1, all cut away"):
        render_points(points, colors, cut_above=-1.0)
