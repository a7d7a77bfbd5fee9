"""Tests of pcl_methods.segmentation.fine_tuning."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from pcl_data import SCANNET20
from pcl_data.splits import LabelBudget, SceneSplit, annotation_budget
from pcl_methods.segmentation.batches import SceneBatches, SceneSource
from pcl_methods.segmentation.fine_tuning import (
    class_weights,
    fine_tune,
    mean_scores,
    steps_to_score,
)
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.samples import labeled_sample
from pcl_methods.segmentation.testing import make_room
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.loop import LoopOptions
from pcl_run.run import Run

NAMES = ("0", "1", "2")


def load(name):
    return make_room(name, int(name))


def split(budget=None) -> SceneSplit:
    budget = budget or LabelBudget("all", NAMES[:2])
    return SceneSplit("boxes", SCANNET20, NAMES[:2], NAMES[2:], budget, load)


def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.125), 20)


def train(folder, made, n_steps=6, **settings):
    sample = partial(labeled_sample, split(), instances=True, voxel_size=0.15, elastic=False)
    fine_tune(
        Run.open(folder, Config(), resume=folder.exists()),
        make_fabric(),
        made,
        SceneBatches([SceneSource(NAMES[:2], 1, sample)], [0]),
        n_steps=n_steps,
        make_optimizer=lambda module: torch.optim.AdamW(module.parameters(), 0.01),
        options=LoopOptions(log_every=1, checkpoint_every=3),
        **settings,
    )


def test_norms_are_frozen_in_the_last_share_of_the_steps(tmp_path):
    made, seen = network(), []
    norm = next(m for m in made.modules() if isinstance(m, torch.nn.BatchNorm1d))
    norm.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    train(tmp_path / "a", made, freeze_bn_fraction=0.5)
    assert seen == [True, True, True, False, False, False]


def test_scores_are_asked_for_before_the_next_step(tmp_path):
    scored = []
    train(tmp_path / "a", network(), score=scored.append, scored_steps={2, 4, 6})
    assert scored == [2, 4, 6]


def test_class_weights_change_what_is_learned(tmp_path):
    one, other = network(), network()
    train(tmp_path / "a", one, n_steps=2)
    train(tmp_path / "b", other, n_steps=2, class_weights=torch.linspace(1, 3, 20))
    assert not torch.equal(one.semantic_head.final.kernel, other.semantic_head.final.kernel)


def test_weights_of_classes_follow_what_the_budget_shows():
    assert class_weights(split(), 0.0) is None
    labels = np.concatenate([load(name).labels for name in NAMES[:2]])
    counts = np.bincount(labels[labels >= 0], minlength=20)
    expected = np.where(counts > 0, counts.max() / np.maximum(counts, 1), 1) ** 0.5
    np.testing.assert_allclose(class_weights(split(), 0.5).numpy(), expected, rtol=1e-6)
    assert class_weights(split(LabelBudget("one", NAMES[:1])), 0.5) is not None
    few = class_weights(split(annotation_budget(NAMES[:2], 5)), 1.0)
    assert few.max() <= 10  # of ten annotated points


@pytest.mark.parametrize(
    ("n_steps", "count", "steps"), [(100, 1, {100}), (100, 4, {85, 90, 95, 100}), (7, 3, {6, 7})]
)
def test_checkpoints_are_scored_over_the_last_15_percent(n_steps, count, steps):
    assert steps_to_score(n_steps, count) == steps


def test_a_score_that_is_undefined_once_is_undefined_in_the_mean():
    found = mean_scores([{"a": 1.0, "b": None}, {"a": 0.5, "b": 1.0}], ["a", "b"])
    assert found["a"] == 0.75
    assert math.isnan(found["b"])


def test_a_sample_has_the_labels_of_the_budget():
    rng = np.random.default_rng(0)
    of_points = split(annotation_budget(NAMES[:2], 5))
    sample = labeled_sample(of_points, "0", rng, instances=True, voxel_size=0.1, elastic=False)
    assert 0 < (sample["labels"] >= 0).sum() <= 5
    assert "instances" not in labeled_sample(of_points, "0", rng, instances=False, voxel_size=0.1)
    with pytest.raises(ValueError, match="scene must be one of the 2 of"):
        labeled_sample(split(), "2", rng, instances=True, voxel_size=0.1)
