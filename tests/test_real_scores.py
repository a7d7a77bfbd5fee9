"""Scores and submissions of real scenes; skipped where the recordings are absent."""

import numpy as np
import pytest

from pcl_data import S3DIS13, SCANNET20, SEMANTICKITTI19
from pcl_data.evaluation import (
    CoverageEvaluator,
    DetectionEvaluator,
    InstanceEvaluator,
    PanopticEvaluator,
    ScoreProtocol,
    SemanticEvaluator,
)
from pcl_data.export import (
    InstancePrediction,
    read_scannet_instances,
    read_scannet_labels,
    write_scannet_submission,
)

pytestmark = pytest.mark.real


def test_scannet_rooms_survive_their_submission(real_data, tmp_path):
    for scan in sorted((real_data / "scannet" / "points50k").glob("scene000[01]*.npz")):
        room, name = np.load(scan), scan.stem
        labels = SCANNET20.to_train(room["nyu40"].astype(np.int64))
        instances = room["instance"].astype(np.int64) - 1
        rng = np.random.default_rng(0)
        ids = np.unique(instances[(labels >= 0) & (instances >= 0)])
        masks = instances == ids[:, None]
        masks &= rng.random(masks.shape) > rng.choice([0, 0.3, 0.6], len(ids))[:, None]
        mask_labels = np.array([np.bincount(labels[instances == i] + 1)[1:].argmax() for i in ids])
        objects = InstancePrediction(masks, mask_labels, rng.random(len(ids)))
        points = np.where(rng.random(len(labels)) < 0.2, rng.integers(-1, 20, len(labels)), labels)
        write_scannet_submission(tmp_path / name / "semantic", [(name, points)])
        write_scannet_submission(tmp_path / name / "instance", [(name, objects)])

        results = []
        for semantic, instance in (
            (points, objects),
            (
                read_scannet_labels(tmp_path / name / "semantic" / f"{name}.txt", len(labels)),
                read_scannet_instances(tmp_path / name / "instance" / f"{name}.txt", len(labels)),
            ),
        ):
            evaluators = SemanticEvaluator(SCANNET20), InstanceEvaluator(SCANNET20)
            evaluators[0].update(labels, semantic)
            evaluators[1].update(labels, instances, *instance)
            results.append([str(evaluator.compute()) for evaluator in evaluators])
        assert results[0] == results[1]
        assert 0.05 < evaluators[1].compute().ap < 0.95


def test_real_boxes_find_themselves_and_not_their_neighbours(real_data):
    evaluator = DetectionEvaluator(SCANNET20)
    for scan in sorted((real_data / "scannet" / "points50k").glob("*.npz")):
        rows = np.load(scan)["bbox"]
        labels = SCANNET20.to_train(rows[:, 6].astype(np.int64))
        boxes = np.column_stack([rows[:, :6], np.zeros(len(rows)), labels])[labels >= 0]
        evaluator.update(boxes, boxes, np.linspace(0, 1, len(boxes)))
    result = evaluator.compute()
    assert (result.map50, result.recall50) == (1, 1)


def test_semantickitti_sweeps_have_panoptic_scores(real_data):
    perfect, merged = (PanopticEvaluator(SEMANTICKITTI19) for _ in range(2))
    for file in sorted((real_data / "semantickitti" / "sequences").glob("*/labels/*.label")):
        raw = np.fromfile(file, "<u4").astype(np.int64)
        labels = SEMANTICKITTI19.to_train(raw & 0xFFFF)
        instances = np.where(raw >> 16, raw >> 16, -1)
        perfect.update(labels, instances, labels, instances)
        merged.update(labels, instances, labels, np.full(len(labels), -1))
    best, worse = perfect.compute(), merged.compute()
    assert (best.pq, best.pq_dagger, best.things.pq, best.stuff.pq) == (1, 1, 1, 1)
    assert (worse.stuff.pq, worse.miou) == (1, 1)
    assert worse.per_class["car"].pq < 0.2  # many cars taken for one


def test_a_published_network_has_the_scores_of_a_plain_count(real_data):
    protocol = ScoreProtocol(split="area6", views=1)
    evaluator = SemanticEvaluator(S3DIS13, protocol=protocol)
    coverage = CoverageEvaluator(S3DIS13, protocol=protocol)
    hits, truth, found = np.zeros((3, 13))
    for file in sorted((real_data / "s3dis").glob("*.npz")):
        room = np.load(file)
        labels, predictions = (room[key].astype(np.int64) for key in ("label", "pred_pointnet"))
        evaluator.update(labels, predictions)
        # the classes of a room stand in for its instances, of which there are none here
        coverage.update(labels, labels, predictions, predictions)
        for c in range(13):
            hits[c] += ((labels == c) & (predictions == c)).sum()
            truth[c] += (labels == c).sum()
            found[c] += (predictions == c).sum()
    result = evaluator.compute()
    iou = hits / (truth + found - hits)
    assert result.miou == pytest.approx(np.nanmean(iou))
    assert result.macc == pytest.approx(np.nanmean(hits / truth))
    assert 0.3 < coverage.compute().mcov < result.macc
    assert str(result).startswith("s3dis13/area6/points/no-tta: miou ")
