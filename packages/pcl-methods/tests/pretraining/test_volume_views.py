"""Tests of pcl_methods.pretraining.volume_views."""

import numpy as np
import pytest

from pcl_methods.pretraining.volume_views import VolumeViews


def test_a_small_crop_of_a_volume_meets_a_large_one(room):
    first, second = VolumeViews(0.08)(room, np.random.default_rng(0))
    assert set(first["groups"]) == set(second["groups"])
    assert len(first["coords"]) < len(second["coords"])


@pytest.mark.parametrize(("share", "n_voxels"), [(1.0, (1000, 3100)), (0.01, (20, 200))])
def test_a_crop_is_a_share_of_a_volume(room, share, n_voxels):
    first, _ = VolumeViews(0.01, student_crop=share)(room, np.random.default_rng(0))
    assert n_voxels[0] <= len(first["coords"]) <= n_voxels[1]


def test_there_are_at_most_so_many_volumes(room):
    first, _ = VolumeViews(0.08, max_volumes=5)(room, np.random.default_rng(0))
    assert len(np.unique(first["groups"])) == 5


def test_volumes_that_are_all_too_small_are_an_error(room):
    message = "scene room must have a volume of at least min_points=100000 points, got none"
    with pytest.raises(ValueError, match=message):
        VolumeViews(0.08, min_points=100_000)(room, np.random.default_rng(0))
