"""Tests of pcl_methods.segmentation.scoring."""

from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20, Scene
from pcl_data.evaluation.score_protocol import ScoreProtocol
from pcl_methods.segmentation.inference import Classes, Instances
from pcl_methods.segmentation.scoring import score_scenes


def true_instances(scene: Scene) -> Instances:
    ids = np.unique(scene.instances[scene.instances >= 0])
    labels = np.array([scene.labels[scene.instances == i][0] for i in ids])
    confidence = np.ones(len(scene.points))
    return Instances(scene.labels, confidence, scene.instances, labels, np.ones(len(ids)))


def true_classes(scene: Scene) -> Classes:
    return Classes(scene.labels, np.ones(len(scene.points)))


def test_the_truth_scores_one(room):
    scores = score_scenes([room, room], true_instances, SCANNET20)
    assert {scores[key] for key in ("ap", "ap50", "ap25", "miou", "macc")} == {1.0}
    assert scores["per_class"]["chair"] == 1.0
    assert scores["protocol"] == "scannet20/points/no-tta/min_region=100"


def test_classes_alone_have_no_average_precision(room):
    scores = score_scenes([room], true_classes, SCANNET20, protocol=ScoreProtocol(split="held-out"))
    assert scores.keys() == {"miou", "macc", "protocol", "per_class"}
    assert scores["miou"] == 1.0
    assert scores["protocol"].startswith("scannet20/held-out/points")


def test_scores_are_counted_over_all_scenes(room):
    def half_wrong(scene: Scene) -> Classes:
        labels = scene.labels if scene.name == "room" else np.full_like(scene.labels, 0)
        return Classes(labels, np.ones(len(labels)))

    scores = score_scenes([room, replace(room, name="other")], half_wrong, SCANNET20)
    assert scores["per_class"]["chair"] == 0.5
    assert scores["macc"] == 0.5


def test_small_instances_do_not_count(room):
    assert np.isnan(score_scenes([room], true_instances, SCANNET20, min_region=500)["ap"])


def test_rejects(room):
    unlabeled = replace(room, labels=None, instances=None)
    with pytest.raises(ValueError, match="scene room must have labels to be scored, got none"):
        score_scenes([unlabeled], lambda _: true_classes(room), SCANNET20)
    with pytest.raises(ValueError, match="scene room must have instances to be scored, got none"):
        score_scenes([replace(room, instances=None)], lambda _: true_instances(room), SCANNET20)
