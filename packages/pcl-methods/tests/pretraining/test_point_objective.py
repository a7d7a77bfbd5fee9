"""Tests of pcl_methods.pretraining.point_objective."""

import pytest
import torch

from pcl_backbones import SparseTensor
from pcl_contrastive import hardest_contrastive_loss, point_info_nce, scene_context_loss
from pcl_methods.pretraining.matched_views import MatchedViews
from pcl_methods.pretraining.point_objective import (
    HardestPointContrast,
    PointContrast,
    SceneContexts,
)


@pytest.fixture
def batch(batch_of):
    maker = MatchedViews(0.08)
    return batch_of(lambda room, rng: maker((room, room), rng))


@pytest.fixture
def single(batch):
    """Each voxel of the first view with one match, so that nothing is left to chance."""
    views = {key: dict(value) for key, value in batch.items() if key != "scene"}
    inverse = torch.unique(views["first"]["rows"], return_inverse=True)[1]
    keep = torch.tensor([int((inverse == i).nonzero()[0]) for i in range(int(inverse.max()) + 1)])
    for view in views.values():
        view["rows"] = view["rows"][keep]
    return views | {"scene": batch["scene"][keep]}


def contrast(first, second, points):
    return point_info_nce(first, second, temperature=0.1)


def contexts(first, second, points):
    settings = {"n_partitions": 4, "inner_radius": 0.1, "outer_radius": 0.7}
    return scene_context_loss(first, second, points, temperature=0.1, **settings)


@pytest.mark.parametrize(
    ("kind", "settings", "loss"),
    [
        (PointContrast, {}, contrast),
        (SceneContexts, {"n_partitions": 4, "inner_radius": 0.1, "outer_radius": 0.7}, contexts),
    ],
)
def test_the_loss_of_points_is_the_mean_over_scenes_of_their_matches(
    backbone, single, kind, settings, loss
):
    one = kind(backbone, temperature=0.1, n_matches=100_000, **settings).eval()
    expected = []
    for scene in (0, 1):
        pair, is_here = [], single["scene"] == scene
        for view in (single["first"], single["second"]):
            voxels = SparseTensor(view["coords"], view["features"])
            features = one.projection(backbone.features(voxels)).features
            pair.append(features[view["rows"][is_here]])
        points = single["first"]["points"][single["first"]["rows"][is_here]]
        expected.append(loss(*pair, points))
    assert torch.allclose(one(single, 0)["loss"], torch.stack(expected).mean(), atol=1e-5)


def test_the_hardest_contrast_sees_all_voxels_and_matches_of_a_scene(backbone):
    one = HardestPointContrast(backbone, n_matches=2)
    first, second = torch.randn(2, 30, 32).unbind()
    matches = torch.arange(30).repeat(2, 1).T
    torch.manual_seed(0)
    found = one.scene_loss(first, second, torch.zeros(30, 3), matches)
    torch.manual_seed(0)
    assert torch.equal(found, hardest_contrastive_loss(first, second, matches).loss)


def test_what_is_compared_are_matches_of_one_scene(backbone, batch):
    one = PointContrast(backbone, channels=8, temperature=0.2, n_matches=50).eval()
    queries, keys, temperature = one.compared(batch)
    assert queries.shape == keys.shape == (50, 8)
    assert temperature == 0.2


def test_without_a_teacher_nothing_follows(backbone):
    one = PointContrast(backbone)
    before = {name: value.clone() for name, value in one.state_dict().items()}
    one.follow()
    assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())
