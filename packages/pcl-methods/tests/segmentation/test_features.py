"""Tests of pcl_methods.segmentation.features."""

import numpy as np
import pytest

from pcl_data import Scene
from pcl_methods.segmentation.features import FEATURES, point_features


def test_colors_are_centred():
    colors = np.array([[0, 51, 255]], np.uint8)
    scene = Scene("a", np.zeros((1, 3), np.float32), colors=colors)
    values = point_features(scene, "colors")
    assert values.dtype == np.float32
    # 51 / 255 is no binary fraction
    assert np.allclose(values, [[-0.5, -0.3, 0.5]], atol=1e-7)


def test_intensity_is_as_it_was_measured(sweep):
    values = point_features(sweep, "intensity")
    assert np.array_equal(values, sweep.intensity[:, None])


def test_channels_are_those_of_the_features(room, sweep):
    for kind, scene in (("colors", room), ("intensity", sweep)):
        assert point_features(scene, kind).shape == (len(scene.points), FEATURES[kind])


def test_rejects(room, sweep):
    with pytest.raises(ValueError, match="scene sweep must have colours: the network reads them"):
        point_features(sweep, "colors")
    with pytest.raises(ValueError, match="scene room must have intensity"):
        point_features(room, "intensity")
    with pytest.raises(ValueError, match="features must be one of colors, intensity, got normals"):
        point_features(room, "normals")
