"""Tests of pcl_methods.detection.samples."""

from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20
from pcl_methods.detection.samples import BoxSampling, detection_sample
from pcl_methods.detection.scene_boxes import scene_boxes
from pcl_methods.segmentation.testing import make_room

STILL = BoxSampling(0.05, max_turn=0.0, flipped=())


def sample(scene, sampling=STILL, seed=0):
    return detection_sample(scene, SCANNET20, sampling, np.random.default_rng(seed))


@pytest.fixture
def room():
    return make_room("room", 0)


@pytest.mark.parametrize("n_points", [None, 500, 5000])
def test_points_lie_in_their_voxels_and_in_their_boxes(room, n_points):
    found = sample(room, replace(BoxSampling(0.05), n_points=n_points))
    places = found["points"].astype(float) / 0.05
    assert ((places >= found["coords"]) & (places < found["coords"] + 1)).all()
    assert found["coords"].min() >= 0
    assert len(found["points"]) == (n_points or len(np.unique(found["coords"], axis=0)))
    assert found["n_boxes"].tolist() == [4]
    for number, box in enumerate(found["boxes"]):
        inside = found["points"][found["of_point"] == number]
        assert len(inside)
        assert (abs(inside - box[:3]) <= box[3:6] / 2 + 1e-4).all()


def test_a_scene_that_stays_as_it_is_keeps_its_boxes(room):
    found, boxes = sample(room), scene_boxes(room, SCANNET20).boxes
    np.testing.assert_allclose(found["boxes"][:, 3:], boxes[:, 3:], atol=1e-5)
    shift = found["boxes"][:, :3] - boxes[:, :3]
    np.testing.assert_allclose(shift, shift[:1].repeat(4, axis=0), atol=1e-5)


def test_a_sample_is_mirrored_turned_and_scaled_by_chance(room):
    sampling = BoxSampling(0.05, max_turn=0.5, scales=(0.5, 2.0), oriented=True)
    bare = replace(room, labels=None, instances=None, boxes=scene_boxes(room, SCANNET20).boxes)
    found = [sample(bare, sampling, seed)["boxes"] for seed in range(40)]
    again = sample(bare, sampling, 3)["boxes"]
    np.testing.assert_array_equal(found[3], again)
    heights = np.array([boxes[0, 5] for boxes in found]) / bare.boxes[0, 5]
    assert 0.5 <= heights.min() < 0.7
    assert 1.5 < heights.max() <= 2
    turns = np.array([boxes[0, 6] for boxes in found])
    assert 0.3 < abs(np.arcsin(np.sin(turns))).max() <= 0.5 + 1e-6
    assert (abs(turns) > 2).any()  # x mirrored
    assert "of_point" not in sample(bare, sampling)


def test_a_scene_without_objects_is_a_sample(room):
    nothing = replace(room, instances=np.full_like(room.instances, -1))
    found = sample(nothing)
    assert found["boxes"].shape == (0, 8)
    assert found["n_boxes"].tolist() == [0]
    assert (found["of_point"] == -1).all()
