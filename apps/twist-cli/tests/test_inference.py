"""Tests of twist_cli.inference."""

import pytest
import torch
from twist_cli.inference import find_instances, predict_scene, rectify
from twist_cli.network import build_networks
from twist_cli.objective import TwistObjective
from twist_cli.scenes import DataConfig, open_split

from pcl_data import SCANNET20
from twist_cli.config import ModelConfig, RunConfig, TwistConfig


@pytest.fixture
def objective(scans) -> TwistObjective:
    torch.manual_seed(0)
    config = RunConfig(
        model=ModelConfig(backbone="res16unet14a", width=0.25, voxel_size=0.08),
        twist=TwistConfig(min_points=2),
    )
    return TwistObjective(config, SCANNET20, *build_networks(config, SCANNET20.n_classes))


def test_every_input_point_has_a_class(objective, scans):
    split = open_split(DataConfig(root=scans, n_labeled=2, n_validation=1), 0)
    scene = split.load("scene0")
    prediction = predict_scene(objective, scene, torch.device("cpu"))
    found = find_instances(objective, prediction)
    assert found.labels.shape == found.confidence.shape == found.instances.shape == (3100,)
    assert found.labels.min() >= 0
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()
    labels, scores, confidence = rectify(objective, prediction)
    assert len(labels) == len(scores) == len(confidence) == prediction.n_proposals
    assert ((confidence > 0) & (confidence < 1)).all()
    assert set(labels.tolist()) <= set(SCANNET20.things)


def test_inference_depends_on_nothing_but_scene_and_weights(objective, scans):
    scene = open_split(DataConfig(root=scans, n_labeled=2, n_validation=1), 0).load("scene1")
    first, again = (
        predict_scene(objective, scene, torch.device("cpu")).voxels.logits for _ in range(2)
    )
    assert torch.equal(first, again)
