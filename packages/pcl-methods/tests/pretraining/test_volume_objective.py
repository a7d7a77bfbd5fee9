"""Tests of pcl_methods.pretraining.volume_objective."""

import pytest
import torch

from pcl_contrastive import byol_loss, volume_info_nce
from pcl_methods.pretraining.teacher_objective import TeacherOptions
from pcl_methods.pretraining.volume_objective import (
    ClusterOptions,
    LocalVolumes,
    Sspl,
    SsplClasses,
)
from pcl_methods.pretraining.volume_views import VolumeViews

OPTIONS = TeacherOptions(channels=8, queue_size=80)
CLUSTERS = ClusterOptions(n_clusters=4, refresh_every=3, n_negatives=16)


@pytest.fixture
def batch(batch_of):
    return batch_of(VolumeViews(0.08))


def test_volumes_are_compared_within_their_scene(backbone, batch):
    one = LocalVolumes(backbone, OPTIONS).eval()
    student, teacher = one.encode(batch)
    expected = [
        volume_info_nce(student[batch["scene"] == i], teacher[batch["scene"] == i]) for i in (0, 1)
    ]
    losses = one(batch, 0)
    assert torch.allclose(losses["local"], torch.stack(expected).mean(), atol=1e-6)
    assert torch.equal(losses["loss"], losses["local"])


@pytest.mark.parametrize("kind", [LocalVolumes, Sspl, SsplClasses])
def test_volumes_can_be_compared_without_negatives(backbone, batch, kind):
    one = kind(backbone, OPTIONS, local_loss="byol").eval()
    student, teacher = one.encode(batch)
    expected = byol_loss(one.predictor(student), teacher)
    assert torch.allclose(one(batch, 0)["local"], expected)


def test_the_global_loss_starts_when_the_queue_is_full(backbone, batch):
    one = Sspl(backbone, OPTIONS, CLUSTERS)
    per_step = len(batch["scene"])
    for step in range(6):
        was_full = one.queue.is_full
        losses = one(batch, step)
        assert ("global" in losses) == was_full
        assert len(one.queue) == min(80, per_step * (step + 1))
    assert torch.allclose(losses["loss"], losses["local"] + losses["global"])
    assert int(one.clusters.labels.min()) >= 0


def test_the_queue_is_clustered_often_at_first_and_then_now_and_then(backbone, monkeypatch):
    one, steps = Sspl(backbone, OPTIONS, CLUSTERS), []
    refresh = one.clusters.refresh
    monkeypatch.setattr(one.clusters, "refresh", lambda queue: (steps.append(step), refresh(queue)))
    one.queue.enqueue(torch.randn_like(one.queue.features))
    for step in range(1, 8):
        one._refresh(step)
    assert steps == [1] * 6 + [3, 6]


def test_what_enters_the_queue_enters_its_nearest_cluster(backbone):
    one = Sspl(backbone, OPTIONS, CLUSTERS)
    one.queue.enqueue(torch.randn_like(one.queue.features))
    one._refresh(0)
    rows = torch.randn(5, 8)
    one._enqueue(rows)
    assert torch.equal(one.clusters.labels[:5], one.clusters.assign(rows))


@pytest.mark.parametrize(("negatives", "count"), [("other", 2), ("same", 1), ("any", 3)])
def test_negatives_are_of_the_clusters_that_are_asked_for(backbone, negatives, count):
    options = TeacherOptions(channels=4, queue_size=4)
    clusters = ClusterOptions(n_clusters=4, n_negatives=4, negatives=negatives)
    one = Sspl(backbone, options, clusters)
    one.queue.enqueue(torch.eye(4))
    one.clusters.labels.copy_(torch.tensor([0, 0, 1, 1]))
    volume = torch.eye(4)[:1]  # as the first entry, its positive
    near = torch.tensor(1 / 0.1).exp()
    expected = -(near / (near + count)).log()
    assert torch.allclose(one.global_loss(volume, volume), expected, atol=1e-6)


def test_clusters_are_told_from_features_of_unit_length(backbone):
    one = SsplClasses(backbone, OPTIONS, CLUSTERS)
    rows = []
    one.classifier.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0]))
    one.queue.enqueue(torch.randn_like(one.queue.features))
    one.clusters.refresh(one.queue.filled)
    one.global_loss(5 * torch.randn(9, 8), torch.randn(9, 8))
    assert len(rows) == 2
    for row in rows:
        assert torch.allclose(row.norm(dim=1), torch.ones(9))
