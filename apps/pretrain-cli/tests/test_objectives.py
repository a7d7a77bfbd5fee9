"""Tests of pretrain_cli.objectives."""

import numpy as np
import pytest
import torch

from pcl_backbones import SparseTensor
from pcl_contrastive import point_info_nce, scene_context_loss, volume_info_nce
from pcl_methods.segmentation.testing import make_room
from pcl_run.config import load_config
from pretrain_cli.backbones import initial_backbone
from pretrain_cli.config import PRETRAIN_PRESETS, PretrainConfig
from pretrain_cli.objectives import Objective, build_objective
from pretrain_cli.views import collate_views, matched_views, scene_views, volume_views


def objective(*overrides: str) -> Objective:
    words = ["model.width=0.25", "teacher.queue_size=32", "teacher.channels=8", *overrides]
    words += ["sspl.n_clusters=4", "sspl.n_negatives=16"]
    config = load_config(PretrainConfig, presets=PRETRAIN_PRESETS, preset="quick", overrides=words)
    torch.manual_seed(0)
    backbone, _ = initial_backbone(config.model, config.data.features, None)
    return build_objective(config, backbone)


def batch(config: PretrainConfig, make, n_scenes: int = 2) -> dict:
    rng = np.random.default_rng(0)
    rooms = [make_room(f"room{i}", i) for i in range(n_scenes)]
    if make is matched_views:
        return collate_views([make(room, room, config, rng) for room in rooms])
    return collate_views([make(room, config, rng) for room in rooms])


@pytest.mark.parametrize("method", ["pointcontrast", "csc"])
def test_the_loss_of_points_is_the_mean_over_scenes_of_their_matches(method):
    one = objective(f"method={method}", "contrast.n_matches=100000").eval()
    views = batch(one.config, matched_views)
    # each voxel of the first view with one match: nothing is left to chance
    for view in ("first", "second"):
        views[view] = {**views[view]}
    rows = views["first"]["rows"]
    single = torch.unique(rows, return_inverse=True)[1]
    keep = torch.tensor([int((single == i).nonzero()[0]) for i in range(int(single.max()) + 1)])
    for view in ("first", "second"):
        views[view]["rows"] = views[view]["rows"][keep]
    views["scene"] = views["scene"][keep]
    expected = []
    for scene in (0, 1):
        pair = []
        for view in ("first", "second"):
            voxels = SparseTensor(views[view]["coords"], views[view]["features"])
            features = one.projection(one.backbone.features(voxels)).features
            pair.append(features[views[view]["rows"][views["scene"] == scene]])
        points = views["first"]["points"][views["first"]["rows"][views["scene"] == scene]]
        if method == "pointcontrast":
            expected.append(point_info_nce(*pair, temperature=0.1))
        else:
            expected.append(scene_context_loss(*pair, points, temperature=0.1))
    assert torch.allclose(one(views, 0)["loss"], torch.stack(expected).mean(), atol=1e-5)


def test_volumes_are_compared_within_their_scene():
    one = objective("method=sspl", "sspl.global_loss=none").eval()
    views = batch(one.config, volume_views)
    n_volumes = len(views["scene"])
    student = one.student(views["first"], n_volumes)
    teacher = one.teacher(views["second"], n_volumes)
    expected = [
        volume_info_nce(student[views["scene"] == i], teacher[views["scene"] == i]) for i in (0, 1)
    ]
    losses = one(views, 0)
    assert torch.allclose(losses["local"], torch.stack(expected).mean(), atol=1e-6)
    assert torch.equal(losses["loss"], losses["local"])


def test_the_global_loss_starts_when_the_queue_is_full():
    one = objective("method=sspl", "teacher.queue_size=80")
    views = batch(one.config, volume_views)
    per_step = len(views["scene"])
    for step in range(6):
        was_full = one.queue.is_full
        losses = one(views, step)
        assert ("global" in losses) == was_full
        assert len(one.queue) == min(80, per_step * (step + 1))
    assert int(one.clusters.labels.min()) >= 0


def test_a_volume_is_the_largest_of_its_voxels():
    one = objective("method=sspl").eval()
    views = batch(one.config, volume_views, n_scenes=1)["first"]
    voxels = one.backbone.features(SparseTensor(views["coords"], views["features"])).features
    members = voxels[views["rows"][views["groups"] == 3]]
    pooled = members.max(dim=0).values[None]
    n_volumes = int(views["groups"].max()) + 1
    expected = one.student.head(pooled)[0]
    assert torch.allclose(one.student(views, n_volumes)[3], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["sspl", "depthcontrast", "byol"])
def test_the_teacher_follows_from_the_second_step_on_and_is_not_trained(method):
    make = volume_views if method == "sspl" else scene_views
    one = objective(f"method={method}", "teacher.momentum=0.75")
    views = batch(one.config, make)
    name, before = next(iter(one.teacher.named_parameters()))
    start = before.detach().clone()
    one(views, 0)["loss"].backward()
    assert torch.equal(before, start)
    assert all(parameter.grad is None for parameter in one.teacher.parameters())
    assert any(parameter.grad is not None for parameter in one.backbone.parameters())
    student = dict(one.student.named_parameters())[name.removeprefix("encoder.")]
    with torch.no_grad():
        student += 1
    one(views, 1)
    assert torch.allclose(before, 0.75 * start + 0.25 * student)


def test_the_local_loss_of_volumes_does_not_touch_other_methods():
    one = objective("method=depthcontrast", "sspl.local_loss=byol")
    assert one.predictor is None


def test_predictions_of_equal_scenes_come_from_normed_rows():
    one = objective("method=byol")
    rows = torch.randn(6, one.config.teacher.channels)
    near = rows.mean(dim=0) + 1e-2 * rows  # all but collapsed
    first = one.predictor[0](near)
    normed = (first - first.mean(dim=0)) / (first.var(dim=0, unbiased=False) + 1e-5).sqrt()
    expected = one.predictor[3](normed.relu())
    assert torch.allclose(one.predictor(near), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"train\.scenes must be at least 2 with byol.* got 1"):
        objective("method=byol", "train.scenes=1")


def test_scenes_are_told_from_those_before_them():
    one = objective("method=depthcontrast", "teacher.queue_size=3")
    views = batch(one.config, scene_views)
    one(views, 0)
    assert len(one.queue) == 2
    one(views, 1)
    assert one.queue.is_full


@pytest.mark.parametrize(
    ("method", "make", "rows"),
    [("csc", matched_views, None), ("sspl", volume_views, None), ("byol", scene_views, 2)],
)
def test_what_is_compared_matches_row_by_row(method, make, rows):
    one = objective(f"method={method}").eval()
    queries, keys, temperature = one.compared(batch(one.config, make))
    assert queries.shape == keys.shape
    assert temperature == 0.1
    if rows is not None:
        assert len(queries) == rows


def test_clusters_are_told_from_features_of_unit_length():
    one = objective("method=sspl", "sspl.global_loss=class")
    logits = []
    one.classifier.register_forward_pre_hook(lambda _, inputs: logits.append(inputs[0]))
    one.queue.enqueue(torch.randn_like(one.queue.features))
    one.clusters.refresh(one.queue.filled)
    one._global_loss(5 * torch.randn(9, 8), torch.randn(9, 8))
    for rows in logits:
        assert torch.allclose(rows.norm(dim=1), torch.ones(9))
