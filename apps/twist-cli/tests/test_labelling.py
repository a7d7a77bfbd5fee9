"""Tests of twist_cli.labelling; the rows of Table 4 are run in test_main.py."""

import numpy as np
import torch
from twist_cli.inference import predict_scene, rectify
from twist_cli.labelling import label_scene
from twist_cli.network import build_networks
from twist_cli.objective import TwistObjective
from twist_cli.scenes import DataConfig, open_split

from pcl_data import SCANNET20
from twist_cli.config import ModelConfig, RunConfig, TwistConfig

CPU = torch.device("cpu")


def test_a_proposal_needs_a_class_that_both_networks_are_sure_of(scans):
    def objective(class_threshold):
        torch.manual_seed(0)
        config = RunConfig(
            model=ModelConfig(backbone="res16unet14a", width=0.25, voxel_size=0.08),
            twist=TwistConfig(min_points=2, score_threshold=0, class_threshold=class_threshold),
        )
        return TwistObjective(config, SCANNET20, *build_networks(config, SCANNET20.n_classes))

    scene = open_split(DataConfig(root=scans, n_labeled=2, n_validation=1), 0).load("scene0")
    trusting = objective(None)
    _, _, confidence = rectify(trusting, predict_scene(trusting, scene, CPU))
    threshold = float(confidence.median())
    everything = label_scene(trusting, scene, CPU)
    some = label_scene(objective(threshold), scene, CPU)
    unsure = np.flatnonzero((confidence <= threshold).numpy())
    assert 0 < len(unsure) < len(confidence)
    assert np.unique(everything.proposals[everything.proposals >= 0]).tolist() == list(
        range(len(confidence))
    )
    dropped = np.isin(everything.proposals, unsure)
    assert (some.proposals == np.where(dropped, -1, everything.proposals)).all()
    assert (some.labels == np.where(dropped, -1, everything.labels)).all()
