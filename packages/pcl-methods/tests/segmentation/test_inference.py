"""Tests of pcl_methods.segmentation.inference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import one_hot
from torch.testing import assert_close

from pcl_data import SCANNET20, Scene
from pcl_methods.segmentation.inference import (
    Instances,
    ScenePrediction,
    find_classes,
    find_instances,
    predict_scene,
    propose,
    view_rotations,
)
from pcl_methods.segmentation.network import SegmentationNetwork, VoxelPrediction, build_backbone
from pcl_methods.segmentation.scene_grid import scene_grid

CPU = torch.device("cpu")
STUFF = tuple(set(range(SCANNET20.n_classes)) - set(SCANNET20.things))


@pytest.fixture
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 20)


def predict(
    network: SegmentationNetwork, scene: Scene, features="colors", views=1
) -> ScenePrediction:
    how = {"voxel_size": 0.08, "features": features, "device": CPU, "views": views}
    return predict_scene(network, scene, **how)


def perfect(prediction: ScenePrediction, scene: Scene) -> ScenePrediction:
    """The prediction with the true classes and offsets."""
    first = np.unique(prediction.inverse, return_index=True)[1]
    labels, instances = scene.labels[first], scene.instances[first]
    centers = np.stack([scene.points[scene.instances == i].mean(axis=0) for i in instances])
    logits = 9.0 * one_hot(torch.from_numpy(labels), 20)
    offsets = torch.from_numpy(centers) - prediction.points
    voxels = VoxelPrediction(prediction.voxels.features, logits, offsets)
    return ScenePrediction(prediction.points, prediction.features, prediction.inverse, voxels)


def propose_in(prediction: ScenePrediction) -> torch.Tensor:
    _, logits, offsets = prediction.voxels
    clustering = {"radius": 0.12, "min_points": 2, "stuff": STUFF}
    return propose(prediction.points, logits, offsets, prediction.batch_index, **clustering)


def test_a_voxel_reads_its_first_point(network, room):
    prediction = predict(network, room)
    first = np.unique(prediction.inverse, return_index=True)[1]
    assert np.array_equal(prediction.points, room.points[first])
    assert np.allclose(prediction.features, room.colors[first] / 255 - 0.5, atol=1e-6)
    assert len(prediction.voxels.logits) == len(first)


def test_inference_is_in_evaluation_mode(network, room):
    prediction = predict(network.train(), room)
    coords = torch.from_numpy(np.insert(scene_grid(room.points, 0.08).coords, 0, 0, axis=1))
    with torch.inference_mode():
        expected = network.eval()(coords, prediction.features)
    assert torch.equal(prediction.voxels.logits, expected.logits)
    assert torch.equal(prediction.voxels.offsets, expected.offsets)


def test_perfect_predictions_find_the_instances(network, room):
    prediction = perfect(predict(network, room), room)
    found = find_instances(prediction, propose_in(prediction))
    assert len(found.scores) == 4
    # The lowest voxels of an object (0.05 to 0.08 m) hold points of the floor as well.
    assert (found.labels == room.labels).mean() > 0.97
    assert ((found.instances >= 0) == (room.instances >= 0)).mean() > 0.97
    for mask, label in zip(found.masks(), found.instance_labels, strict=True):
        assert (room.labels[mask] == label).mean() > 0.95
    assert np.allclose(found.scores, found.confidence.max())


def test_given_classes_of_proposals_are_kept_and_scored(network, room):
    prediction = perfect(predict(network, room), room)
    proposals = propose_in(prediction)
    found = find_instances(prediction, proposals, torch.full((4,), 7))
    assert found.instance_labels.tolist() == [7] * 4
    assert found.scores.max() < 0.01


def test_no_proposals_are_no_instances(network, room):
    prediction = predict(network, room)
    found = find_instances(prediction, torch.full((len(prediction.points),), -1))
    assert (found.instances == -1).all()
    assert found.masks() == []


def test_every_input_point_has_a_class_and_its_softmax(network, sweep):
    network = SegmentationNetwork(build_backbone("submanifold", 1, width=0.5), 19, offsets=False)
    prediction = predict(network, sweep, "intensity")
    found = find_classes(prediction)
    logits = prediction.voxels.logits[prediction.inverse]
    assert np.array_equal(found.labels, logits.argmax(dim=1))
    assert np.array_equal(found.confidence, logits.softmax(dim=1).amax(dim=1))
    assert found.labels.shape == (len(sweep.points),)


def test_offsets_bring_the_voxels_of_a_proposal_together():
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [4, 0, 0], [0.5, 0, 0], [0.5, 0, 0]])
    offsets = torch.tensor([[0.5, 0, 0], [-0.5, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    logits = one_hot(torch.tensor([1, 1, 1, 0, 1]), 2).float()
    batch_index = torch.tensor([0, 0, 0, 0, 1])
    proposals = propose(points, logits, offsets, batch_index, radius=0.1, min_points=1)
    assert proposals.tolist() == [0, 0, 1, 2, 3]
    stuff = propose(points, logits, offsets, batch_index, radius=0.1, min_points=2, stuff=(0,))
    assert stuff.tolist() == [0, 0, -1, -1, -1]


def test_masks_are_the_points_of_each_instance():
    instances = np.array([1, -1, 0, 1, 0, 0])
    labels = np.zeros(6, np.int64)
    found = Instances(labels, np.ones(6), instances, np.array([3, 4]), np.ones(2))
    assert [mask.tolist() for mask in found.masks()] == [[2, 4, 5], [0, 3]]


def test_several_views_are_the_mean_of_turned_scenes(network, room):
    found = predict(network, room, views=3)
    grid = scene_grid(room.points, 0.08)
    assert torch.equal(found.points, torch.from_numpy(room.points[grid.index]))
    logits, offsets = [], []
    for rotation in view_rotations(3):
        turned = replace(room, points=room.points @ rotation.T)
        one = predict(network, turned)
        of_first = one.inverse[torch.from_numpy(grid.index)]
        logits.append(one.voxels.logits[of_first])
        offsets.append(one.voxels.offsets[of_first] @ torch.from_numpy(rotation))
    assert_close(found.voxels.logits, sum(logits) / 3)
    assert_close(found.voxels.offsets, sum(offsets) / 3)
    assert not torch.allclose(logits[0], logits[1])


@given(count=st.integers(2, 12))
def test_views_are_spread_over_a_turn_and_tilted_a_little(count):
    rotations = np.stack(view_rotations(count)).astype(np.float64)
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-6)
    assert np.allclose(np.linalg.det(rotations), 1)
    tilts = np.degrees(np.arccos(rotations[:, 2, 2]))
    assert np.allclose(tilts, [1 + view % 2 for view in range(count)], atol=1e-3)
    yaws = np.degrees(np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])) % 360
    assert np.allclose(yaws, [(20 + 360 * view / count) % 360 for view in range(count)], atol=0.1)


def test_there_is_a_view():
    assert np.array_equal(view_rotations(1)[0], np.eye(3))
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        view_rotations(0)


def test_a_large_scene_is_seen_in_tiles_and_says_the_same(room):
    torch.manual_seed(0)
    network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.125), 20)
    how = {"voxel_size": 0.1, "features": "colors", "device": torch.device("cpu")}
    whole = predict_scene(network, room, **how)
    tiled = predict_scene(network, room, **how, max_voxels=10)
    # One tile holds the room, so that only the sum over tiles is in between.
    for one, other in zip(whole.voxels, tiled.voxels, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    semantic = SegmentationNetwork(network.backbone, 20, offsets=False)
    assert predict_scene(semantic, room, **how, max_voxels=10).voxels.offsets is None
