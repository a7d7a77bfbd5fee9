"""Tests of pcl_methods.segmentation.scoring."""

from dataclasses import replace

import numpy as np
import pytest

from pcl_data import SCANNET20, SCANNET200, Scene
from pcl_data.evaluation.score_protocol import ScoreProtocol
from pcl_methods.segmentation.inference import Classes, Instances
from pcl_methods.segmentation.scoring import BY_FREQUENCY, frequency_lines, score_scenes


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
    assert scores.keys() == {"miou", "macc", "protocol", "per_class", "ece", "calibration"}
    assert scores["miou"] == 1.0
    assert scores["protocol"].startswith("scannet20/held-out/points")


def test_frequencies_of_classes_are_scored_where_there_are_some(room):
    assert not set(BY_FREQUENCY) & set(score_scenes([room], true_instances, SCANNET20))
    scores = score_scenes([room], true_instances, SCANNET200)
    assert set(BY_FREQUENCY) <= set(scores)
    labels = set(room.labels[room.labels >= 0].tolist())
    assert {SCANNET200.frequency[label] for label in labels} == {"head"}
    assert (scores["ap_head"], scores["miou_head"]) == (1.0, 1.0)
    head, common, tail = frequency_lines(scores)
    assert head == "head    AP 1.000  AP50 1.000  AP25 1.000  mIoU 1.000"
    assert common.split()[0] == "common"
    assert tail == "tail    AP -  AP50 -  AP25 -  mIoU -"
    of_classes = score_scenes([room], true_classes, SCANNET200)
    assert "miou_head" in of_classes
    assert "ap_head" not in of_classes
    assert frequency_lines(of_classes) == []


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
