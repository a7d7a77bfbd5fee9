"""Tests of pretrain_cli.building."""

from types import SimpleNamespace

import pytest
import torch

from pcl_methods.data import open_split
from pcl_methods.pretraining.frame_pairs import write_frame_pairs
from pcl_methods.pretraining.matched_views import CutViews, MatchedViews
from pcl_methods.pretraining.point_objective import (
    HardestPointContrast,
    PointContrast,
    SceneContexts,
)
from pcl_methods.pretraining.scene_objective import Byol, DepthContrast
from pcl_methods.pretraining.scene_views import SceneViews
from pcl_methods.pretraining.volume_objective import LocalVolumes, Sspl, SsplClasses
from pcl_methods.pretraining.volume_views import VolumeViews
from pcl_methods.segmentation.testing import make_room
from pcl_run.config import load_config
from pretrain_cli.building import (
    METHODS,
    build_batches,
    build_objective,
    build_training,
    finished,
    held_out_views,
    initial_backbone,
    open_pairs,
)
from pretrain_cli.config import PRETRAIN_PRESETS, PretrainConfig


def settings(*words: str) -> PretrainConfig:
    small = ["model.width=0.25", "teacher.queue_size=32", "teacher.channels=8"]
    return load_config(
        PretrainConfig, presets=PRETRAIN_PRESETS, preset="quick", overrides=[*small, *words]
    )


def build(*words: str):
    config = settings(*words)
    backbone, _ = initial_backbone(config)
    return build_objective(config, backbone)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["method=pointcontrast"], PointContrast),
        (["method=pointcontrast", "contrast.loss=hardest"], HardestPointContrast),
        (["method=csc", "contrast.loss=hardest"], SceneContexts),
        (["method=sspl"], Sspl),
        (["method=sspl", "sspl.global_loss=none"], LocalVolumes),
        (["method=sspl", "sspl.global_loss=class"], SsplClasses),
        (["method=depthcontrast", "sspl.local_loss=byol"], DepthContrast),
        (["method=byol"], Byol),
    ],
)
def test_words_name_an_objective(words, kind):
    assert type(build(*words)) is kind


def test_settings_reach_the_objectives():
    csc = build("contrast.n_matches=7", "contrast.n_partitions=4", "contrast.channels=6")
    assert (csc.n_matches, csc.n_partitions, csc.temperature) == (7, 4, 0.1)
    assert (csc.inner_radius, csc.outer_radius) == (0.05, 0.5)
    sspl = build("method=sspl", "sspl.global_loss=hard", "sspl.n_clusters=5", "sspl.n_negatives=9")
    clusters = sspl.cluster_options
    assert (clusters.negatives, clusters.n_clusters, clusters.n_negatives) == ("same", 5, 9)
    assert clusters.refresh_every == 50
    assert (sspl.teacher.momentum, sspl.temperature, len(sspl.queue.features)) == (0.99, 0.1, 32)
    assert sspl.predictor is None
    assert build("method=sspl", "sspl.local_loss=byol").predictor is not None


def test_settings_reach_the_views():
    views = {
        name: method.scene_views(settings("contrast.view_size=0.3", "sspl.min_points=4"))
        for name, method in METHODS.items()
    }
    cut = CutViews(MatchedViews(0.08, "colors", "strong"), 0.3)
    assert views["csc"] == views["pointcontrast"] == cut
    assert views["sspl"] == VolumeViews(0.08, min_points=4)
    assert views["byol"] == views["depthcontrast"] == SceneViews(0.08)


def test_settings_reach_the_training():
    training = build_training(settings("train.learning_rate=0.5", "seed=3", "train.steps=9"))
    optimizer = training.make_optimizer(torch.nn.Linear(1, 1))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert (training.n_steps, training.seed, training.schedule(0, 9)) == (9, 3, 1.0)


def test_only_a_student_of_crops_leaves_with_other_norms():
    rooms = {f"room{i}": make_room(f"room{i}", i) for i in range(30)}
    asked = []
    split = SimpleNamespace(
        training=tuple(rooms), load=lambda name: (asked.append(name), rooms[name])[1]
    )
    backbone = build().backbone
    assert finished(backbone, settings("method=csc"), split) is backbone
    assert not asked
    found = finished(backbone, settings("method=sspl"), split)
    assert asked == list(rooms)[::2]  # at most 20, from all over
    assert not torch.equal(found.bn0.bn.running_mean, backbone.bn0.bn.running_mean)


def test_frames_are_learned_from_where_there_are_pairs(scans, small, tmp_path):
    words = [*small, f"data.root={scans}", f"contrast.pairs={tmp_path}"]
    config = settings(*words)
    split = open_split(config.data, scored=False)
    source = {"kind": "folder", "world_seed": 0}
    write_frame_pairs(["scene0", "scene1"], split.load, tmp_path, source=source, voxel_size=0.05)
    pairs = open_pairs(config, split.training)
    assert [pair[0] for pair in pairs.pairs] == ["scene0", "scene1"]
    batches = build_batches(config, split, split.training, pairs, rank=1, n_ranks=2)
    assert (batches.items, batches.count, batches.rank) == (pairs.pairs, 2, 1)
    assert batches.make_views == MatchedViews(0.08, "colors", "strong")
    assert held_out_views(config, split).items == pairs.pairs  # there are none of held-out scenes
    with pytest.raises(ValueError, match="holds pairs with world_seed 0, not 1"):
        open_pairs(settings(*words, "data.world_seed=1"), split.training)
