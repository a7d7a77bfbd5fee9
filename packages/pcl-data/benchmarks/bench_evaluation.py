"""Evaluation at the size of the ScanNet validation set, and of a LiDAR sweep; synthetic.

- A scene: 150,000 points, 30 instances of 18 classes over 70 % of the points, 40 predictions that
  are instances with 15 % of their points moved. `update` is timed for one scene given as booleans
  and as indices, `compute` for 312 scenes. The submission is one such scene, written and read.
- Boxes: 64 true ones of 18 classes in a room of 8 x 8 x 3 m, 256 detections, four near each true
  one. `box_iou` is timed for all the pairs, `update` and `compute` for 300 scenes.
- A sweep: 120,000 points, 19 classes, 60 countable instances, 10 % of the points mistaken.

Run:

    pytest -o addopts="" packages/pcl-data/benchmarks/bench_evaluation.py
"""

import numpy as np
import pytest

from pcl_data.evaluation import (
    CoverageEvaluator,
    DetectionEvaluator,
    InstanceEvaluator,
    PanopticEvaluator,
    SemanticEvaluator,
    box_iou,
)
from pcl_data.export import InstancePrediction, read_scannet_instances, write_scannet_submission
from pcl_data.label_set import SCANNET20, SEMANTICKITTI19

N_POINTS, N_INSTANCES, N_MASKS, N_SCENES = 150_000, 30, 40, 312


def make_scene(seed: int) -> dict:
    """Arguments of `InstanceEvaluator.update`, with booleans."""
    rng = np.random.default_rng(seed)
    class_of = rng.choice(SCANNET20.things, N_INSTANCES)
    width = int(0.7 * N_POINTS / N_INSTANCES)
    instances = np.full(N_POINTS, -1)
    instances[: N_INSTANCES * width] = np.repeat(np.arange(N_INSTANCES), width)
    labels = np.where(instances < 0, 0, class_of[instances])
    target = rng.integers(0, N_INSTANCES, N_MASKS)
    masks = instances == target[:, None]
    masks ^= rng.random(masks.shape) < 0.15 * width / N_POINTS
    order = rng.permutation(N_POINTS)
    return {
        "labels": labels[order],
        "instances": instances[order],
        "masks": masks[:, order],
        "mask_labels": class_of[target],
        "scores": rng.random(N_MASKS),
    }


@pytest.mark.parametrize("as_indices", [False, True])
def test_instance_update(benchmark, as_indices):
    scene = make_scene(0)
    if as_indices:
        scene["masks"] = [np.flatnonzero(mask) for mask in scene["masks"]]
    evaluator = InstanceEvaluator(SCANNET20)
    benchmark.pedantic(evaluator.update, kwargs=scene, rounds=20, warmup_rounds=2)


def test_instance_compute_of_312_scenes(benchmark):
    evaluator = InstanceEvaluator(SCANNET20)
    scenes = [make_scene(seed) for seed in range(6)]
    for i in range(N_SCENES):
        evaluator.update(**scenes[i % len(scenes)])
    result = benchmark.pedantic(evaluator.compute, rounds=3, warmup_rounds=1)
    assert 0 < result.ap < 1


def test_semantic_update(benchmark):
    scene = make_scene(0)
    predictions = np.roll(scene["labels"], 1)
    evaluator = SemanticEvaluator(SCANNET20)
    benchmark.pedantic(evaluator.update, args=(scene["labels"], predictions), rounds=20)


def make_boxes(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arguments of `DetectionEvaluator.update`."""
    rng = np.random.default_rng(seed)
    truth = np.empty((64, 8))
    truth[:, :3] = rng.uniform(0, [8, 8, 3], (64, 3))
    truth[:, 3:6] = rng.uniform(0.3, 2, (64, 3))
    truth[:, 6] = rng.uniform(-np.pi, np.pi, 64)
    truth[:, 7] = rng.choice(SCANNET20.things, 64)
    found = np.repeat(truth, 4, axis=0)
    found[:, :7] += rng.normal(0, 0.1, (256, 7))
    found[:, 3:6] = np.abs(found[:, 3:6])
    return truth, found, rng.random(256)


def test_box_iou_of_256_and_64(benchmark):
    truth, found, _ = make_boxes(0)
    iou = benchmark.pedantic(box_iou, args=(found, truth), rounds=30, warmup_rounds=3)
    assert 0.02 < (iou > 0).mean() < 0.5


def test_box_iou_of_256_and_64_that_all_overlap(benchmark):
    truth, found, _ = make_boxes(0)
    truth[:, :3], found[:, :3] = truth[:, :3] / 20, found[:, :3] / 20
    benchmark.pedantic(box_iou, args=(found, truth), rounds=10, warmup_rounds=1)


def test_detection_of_300_scenes(benchmark):
    scenes = [make_boxes(seed) for seed in range(300)]

    def evaluate() -> float:
        evaluator = DetectionEvaluator(SCANNET20)
        for scene in scenes:
            evaluator.update(*scene)
        return evaluator.compute().map25

    assert 0 < benchmark.pedantic(evaluate, rounds=5, warmup_rounds=1) < 1


def make_sweep(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels and instances of a sweep, then the predicted ones."""
    rng = np.random.default_rng(seed)
    block = rng.integers(0, 71, 120_000)  # 11 uncountable classes and 60 instances
    labels = np.where(block < 11, 8 + block, block % 8)
    instances = np.where(block < 11, -1, block)
    predicted, numbers = labels.copy(), instances.copy()
    wrong = rng.random(len(block)) < 0.1
    predicted[wrong] = rng.integers(0, 19, wrong.sum())
    return labels, instances, predicted, numbers


@pytest.mark.parametrize("evaluator", [PanopticEvaluator, CoverageEvaluator])
def test_update_of_a_sweep(benchmark, evaluator):
    sweep = make_sweep(0)
    benchmark.pedantic(evaluator(SEMANTICKITTI19).update, args=sweep, rounds=20, warmup_rounds=2)


def test_submission_of_instances(benchmark, tmp_path):
    scene = make_scene(0)
    prediction = InstancePrediction(scene["masks"], scene["mask_labels"], scene["scores"])
    folders = iter(range(10))

    def write_and_read() -> InstancePrediction:
        folder = tmp_path / str(next(folders))
        write_scannet_submission(folder, [("scene", prediction)])
        return read_scannet_instances(folder / "scene.txt", N_POINTS)

    found = benchmark.pedantic(write_and_read, rounds=5, warmup_rounds=1)
    np.testing.assert_array_equal(found.masks, prediction.masks)
