"""Tests of pcl_methods.pretraining.teacher_objective."""

import pytest
import torch

from pcl_backbones import SparseTensor
from pcl_methods.pretraining.scene_objective import Byol, DepthContrast
from pcl_methods.pretraining.scene_views import SceneViews
from pcl_methods.pretraining.teacher_objective import TeacherOptions, byol_predictor
from pcl_methods.pretraining.volume_objective import Sspl
from pcl_methods.pretraining.volume_views import VolumeViews

OPTIONS = TeacherOptions(channels=8, momentum=0.75, queue_size=32)


def test_a_group_is_the_largest_of_its_voxels(backbone, batch_of):
    one = Sspl(backbone, OPTIONS).eval()
    view = batch_of(VolumeViews(0.08), n_scenes=1)["first"]
    voxels = backbone.features(SparseTensor(view["coords"], view["features"])).features
    pooled = voxels[view["rows"][view["groups"] == 3]].max(dim=0).values[None]
    n_volumes = int(view["groups"].max()) + 1
    expected = one.student.head(pooled)[0]
    assert torch.allclose(one.student(view, n_volumes)[3], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "maker"),
    [(Sspl, VolumeViews(0.08)), (DepthContrast, SceneViews(0.08)), (Byol, SceneViews(0.08))],
)
def test_the_teacher_follows_and_is_not_trained(backbone, batch_of, kind, maker):
    one = kind(backbone, OPTIONS)
    name, before = next(iter(one.teacher.named_parameters()))
    start = before.detach().clone()
    one(batch_of(maker), 0)["loss"].backward()
    assert torch.equal(before, start)
    assert all(parameter.grad is None for parameter in one.teacher.parameters())
    assert any(parameter.grad is not None for parameter in backbone.parameters())
    student = dict(one.student.named_parameters())[name.removeprefix("encoder.")]
    with torch.no_grad():
        student += 1
    one.follow()
    assert torch.allclose(before, 0.75 * start + 0.25 * student)


@pytest.mark.parametrize(
    ("kind", "maker", "per_scene"),
    [(Sspl, VolumeViews(0.08), False), (Byol, SceneViews(0.08), True)],
)
def test_what_is_compared_are_volumes_of_one_scene_or_all_scenes(
    backbone, batch_of, kind, maker, per_scene
):
    one, batch = kind(backbone, OPTIONS).eval(), batch_of(maker)
    queries, keys, temperature = one.compared(batch)
    n_rows = 2 if per_scene else int((batch["scene"] == 0).sum())
    assert queries.shape == keys.shape == (n_rows, 8)
    assert temperature == 0.1
    assert one.rows_are_scenes == per_scene


def test_predictions_of_equal_scenes_come_from_normed_rows():
    predictor = byol_predictor(8)
    rows = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    near = rows.mean(dim=0) + 1e-2 * rows  # all but collapsed
    first = predictor[0](near)
    normed = (first - first.mean(dim=0)) / (first.var(dim=0, unbiased=False) + 1e-5).sqrt()
    assert torch.allclose(predictor(near), predictor[3](normed.relu()), atol=1e-5)
