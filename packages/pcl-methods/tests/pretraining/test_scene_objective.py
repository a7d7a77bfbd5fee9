"""Tests of pcl_methods.pretraining.scene_objective."""

import torch

from pcl_contrastive import byol_loss, scene_info_nce
from pcl_methods.pretraining.scene_objective import Byol, DepthContrast
from pcl_methods.pretraining.scene_views import SceneViews
from pcl_methods.pretraining.teacher_objective import TeacherOptions

OPTIONS = TeacherOptions(channels=8, temperature=0.2, queue_size=3)


def test_scenes_are_told_from_those_before_them(backbone, batch_of):
    one, batch = DepthContrast(backbone, OPTIONS).eval(), batch_of(SceneViews(0.08))
    one(batch, 0)
    assert len(one.queue) == 2
    student, teacher = one.encode(batch)
    expected = scene_info_nce(student, teacher, one.queue.filled.clone(), temperature=0.2)
    assert torch.allclose(one(batch, 1)["loss"], expected)
    assert one.queue.is_full


def test_a_scene_is_predicted_from_its_other_view(backbone, batch_of):
    one, batch = Byol(backbone, OPTIONS).eval(), batch_of(SceneViews(0.08))
    student, teacher = one.encode(batch)
    expected = byol_loss(one.predictor(student), teacher)
    assert torch.allclose(one(batch, 0)["loss"], expected)
