"""Tests of pcl_methods.segmentation.inference."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from pcl_data import SCANNET20, Scene
from pcl_methods.segmentation.inference import (
    Instances,
    ScenePrediction,
    find_classes,
    find_instances,
    predict_scene,
    propose,
)
from pcl_methods.segmentation.network import SegmentationNetwork, VoxelPrediction, build_backbone
from pcl_methods.segmentation.scene_grid import scene_grid

CPU = torch.device("cpu")
STUFF = tuple(set(range(SCANNET20.n_classes)) - set(SCANNET20.things))


@pytest.fixture
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 20)


def predict(network: SegmentationNetwork, scene: Scene, features="colors") -> ScenePrediction:
    return predict_scene(network, scene, voxel_size=0.08, features=features, device=CPU)


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
