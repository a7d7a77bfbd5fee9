"""Tests of pcl_methods.segmentation.scene_grid."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Scene
from pcl_methods.segmentation.inference import find_classes, predict_scene
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.scene_grid import REACH, scene_grid

CPU = torch.device("cpu")
POINTS = np.random.default_rng(0).uniform(-2, 2, (300, 3))


@given(st.tuples(*[st.integers(-(10**7), 10**7)] * 3))
def test_a_scene_has_the_same_voxels_wherever_it_stands(place):
    there = scene_grid(np.round(POINTS * 1024) / 1024 + place, 0.25)
    here = scene_grid(np.round(POINTS * 1024) / 1024, 0.25)
    np.testing.assert_array_equal(there.coords, here.coords)
    np.testing.assert_array_equal(there.inverse, here.inverse)


def test_float32_loses_nothing_to_a_far_point():
    near = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.03, 0, 0]], np.float32)
    far = np.array([[-1e6, 0, 0]], np.float32)
    grid = scene_grid(np.concatenate([near, far]), 0.02)
    steps = np.diff(grid.coords[grid.inverse][:3, 0])
    np.testing.assert_array_equal(steps, [0, 1])
    assert grid.coords.min() >= 0
    assert grid.coords.max() < 2 * REACH


def test_a_scene_of_too_many_voxels_is_rejected():
    line = np.zeros((100, 3))
    line[:, 0] = np.arange(100) * 20
    with pytest.raises(ValueError, match="coords must fit in"):
        scene_grid(line, 0.02)


@pytest.fixture
def labels_of():
    """The labels of points by an untrained network."""
    torch.manual_seed(0)
    network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 20)

    def labels(points, colors):
        scene = Scene("room", points.astype(np.float32), colors=colors)
        found = predict_scene(network, scene, voxel_size=0.08, features="colors", device=CPU)
        return find_classes(found).labels

    return labels


def test_a_room_is_labeled_the_same_on_a_site_grid(room, labels_of):
    points = np.round(room.points * 1024) / 1024  # exact in float32 at either place
    here, place = labels_of(points, room.colors), np.array([500, -200, 100])
    np.testing.assert_array_equal(labels_of(points + place, room.colors), here)


def test_how_far_a_stray_point_lies_does_not_matter(room, labels_of):
    colors = np.append(room.colors, [[9, 9, 9]], axis=0).astype(np.uint8)
    near, far = (np.append(room.points, [[x, 0, 2 * x]], axis=0) for x in (200.0, 3e6))
    np.testing.assert_array_equal(labels_of(far, colors), labels_of(near, colors))
