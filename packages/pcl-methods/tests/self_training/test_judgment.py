"""Tests of pcl_methods.self_training.judgment."""

import torch

from pcl_data import SCANNET20
from pcl_methods.self_training.judgment import judge_proposals, propose_scene, segment_scene


def test_every_input_point_has_a_class(model, split):
    found = segment_scene(model, split.load("scene0"))
    assert found.labels.shape == found.confidence.shape == found.instances.shape == (3100,)
    assert found.labels.min() >= 0
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()


def test_every_proposal_is_judged(model, split):
    found = propose_scene(model, split.load("scene0"))
    labels, scores, confidence, probabilities = judge_proposals(model, found)
    assert found.n_proposals > 0
    assert len(labels) == len(scores) == len(confidence) == found.n_proposals
    assert ((scores > 0) & (scores < 1)).all()
    assert ((confidence > 0) & (confidence < 1)).all()
    assert set(labels.tolist()) <= set(SCANNET20.things)
    assert torch.equal(probabilities.argmax(dim=1), labels)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(found.n_proposals))


def test_confidence_is_that_of_both_networks(model, split):
    found = propose_scene(model, split.load("scene0"))
    judged, seen = judge_proposals(model, found), []
    model.recorrector.register_forward_hook(lambda module, given, output: seen.append(output))
    judge_proposals(model, found)
    things = list(SCANNET20.things)
    for proposal, label in enumerate(judged.labels.tolist()):
        own = seen[0].class_logits[proposal, things].softmax(dim=0).max()
        voxels = found.voxels.logits[found.proposals == proposal]
        expected = own * voxels.softmax(dim=1)[:, label].mean()
        assert torch.allclose(judged.confidence[proposal], expected)


def test_reclassified_instances_have_the_classes_of_the_recorrector(model, split):
    scene = split.load("scene0")
    judged = judge_proposals(model, propose_scene(model, scene))
    found = segment_scene(model, scene, reclassify=True)
    assert found.instance_labels.tolist() == judged.labels.tolist()
    assert found.instance_labels.tolist() != segment_scene(model, scene).instance_labels.tolist()


def test_inference_depends_on_nothing_but_scene_and_weights(model, split):
    model.train()
    first, again = (propose_scene(model, split.load("scene1")).voxels.logits for _ in range(2))
    assert torch.equal(first, again)
    assert not model.recorrector.training
