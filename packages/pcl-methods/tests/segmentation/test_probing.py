"""Tests of pcl_methods.segmentation.probing."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from pcl_backbones import Res16UNet14A
from pcl_data.evaluation import ScoreProtocol
from pcl_methods.segmentation.encoding import EncodedScene, encode_scene
from pcl_methods.segmentation.probing import PROBES, neighbors, probe_scores
from pcl_methods.segmentation.testing import make_room


def probed(labeled, held_out):
    torch.manual_seed(0)
    encode = partial(encode_scene, Res16UNet14A(3, None, width=0.25), voxel_size=0.1)
    protocol = ScoreProtocol(split="held-out", views=1, budget="lr-2")
    settings = {"max_voxels": 500, "protocol": protocol}
    return probe_scores(encode, PROBES, labeled, held_out, labeled[0].label_set, **settings)


def test_probes_learn_from_some_scenes_and_are_scored_on_others():
    rooms = [make_room(f"room{i}", i) for i in range(3)]
    found = probed(rooms[:2], rooms[2:])
    assert found.keys() == PROBES.keys()
    for scores in found.values():
        assert scores["miou"] > 0.5  # the colors alone tell the classes apart
        assert scores["protocol"] == "scannet20/held-out/points/no-tta/lr-2"


def test_scenes_without_labels_are_not_scored():
    rooms = [make_room("room0", 0), replace(make_room("room1", 1), labels=None)]
    with pytest.raises(ValueError, match="scene room1 must have labels to be scored, got none"):
        probed(rooms[:1], rooms[1:])


def test_a_probe_learns_from_so_many_labeled_voxels_alone(room):
    labels = torch.tensor([-1, 2, 2, -1, 2, 4])
    encoded = EncodedScene(torch.eye(6), labels, torch.zeros(len(room.points), dtype=torch.int64))
    seen = []

    def probe(features, labels):
        seen.append((features, labels))
        return lambda rows: torch.zeros(len(rows), dtype=torch.int64)

    probe_scores(lambda scene: encoded, {"own": probe}, [room], [], room.label_set, max_voxels=3)
    features, found = seen[0]
    rows = features.argmax(dim=1)
    assert len(rows.unique()) == 3
    assert torch.equal(found, labels[rows])
    assert (found >= 0).all()


def test_as_many_neighbors_vote_as_are_asked_for():
    features, labels = torch.tensor([[1.0, 0], [0, 1], [0, 1]]), torch.tensor([3, 5, 5])
    row = torch.tensor([[0.8, 0.6]])
    assert neighbors(features, labels, n_neighbors=1)(row).tolist() == [3]
    assert neighbors(features, torch.tensor([3, 5, 5]), n_neighbors=1)(row.flip(1)).tolist() == [5]
