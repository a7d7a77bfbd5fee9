"""Tests of pcl_methods.pretraining.scene_views."""

import numpy as np
import pytest

from pcl_data import Scene
from pcl_methods.pretraining.scene_views import SceneViews, cuboid_rows


@pytest.fixture
def cube():
    rng = np.random.default_rng(0)
    colors = np.zeros((60_000, 3), np.uint8)
    return Scene("cube", rng.random((60_000, 3), dtype=np.float32) * 9, colors=colors)


def test_a_view_of_a_scene_is_a_part_of_it(cube):
    make_views = SceneViews(0.001)  # a voxel a point
    rng, sizes = np.random.default_rng(0), set()
    for view in (view for _ in range(20) for view in make_views(cube, rng)):
        assert set(view["groups"]) == {0}
        shares = np.ptp(view["points"], axis=0) / 9
        assert 0.49 < shares.min() < shares.max() <= 1
        assert shares.min() > 0.74 * shares.max()
        sizes.add(len(view["points"]))
    assert 5_000 == min(sizes) < max(sizes) == 20_000


def test_a_view_of_a_scene_has_a_hole(cube):
    rows = cuboid_rows(cube.points, np.random.default_rng(1))
    points = cube.points[rows]
    assert len(rows) >= 10_000
    inside = ((cube.points >= points.min(0)) & (cube.points <= points.max(0))).all(axis=1)
    lost = cube.points[np.setdiff1d(np.flatnonzero(inside), rows)]
    assert np.allclose(np.ptp(lost, axis=0), 0.2 * np.ptp(points, axis=0), rtol=0.1)


def test_a_scene_of_few_points_stays_whole(cube):
    points = cube.points[:9_999]
    assert np.array_equal(cuboid_rows(points, np.random.default_rng(0)), np.arange(len(points)))
