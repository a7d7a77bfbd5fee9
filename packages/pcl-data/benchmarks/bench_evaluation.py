"""Instance evaluation at the size of the ScanNet validation set, synthetic.

A scene: 150,000 points, 30 instances of 18 classes over 70 % of the points, 40 predictions that
are instances with 15 % of their points moved. `update` is timed for one scene given as booleans and
as indices, `compute` for 312 scenes. Run:

    pytest -o addopts="" packages/pcl-data/benchmarks/bench_evaluation.py
"""

import numpy as np
import pytest

from pcl_data.evaluation import InstanceEvaluator, SemanticEvaluator
from pcl_data.label_set import SCANNET20

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
