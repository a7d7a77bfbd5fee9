"""Tests of pcl_contrastive.queue_clusters."""

import copy

import pytest
import torch
from torch.nn import functional

from pcl_contrastive.queue_clusters import REFRESH_TOLERANCE, QueueClusters
from pcl_contrastive.sinkhorn import sinkhorn_assignment


def blobs(n: int, n_blobs: int, dim: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centers = functional.normalize(torch.randn(n_blobs, dim, generator=generator), dim=1)
    blob = torch.arange(n) % n_blobs
    return centers[blob] + 0.05 * torch.randn(n, dim, generator=generator), blob


def test_prototypes_start_as_directions():
    clusters = QueueClusters(16, 5, queue_size=3)
    assert torch.allclose(clusters.prototypes.norm(dim=1), torch.ones(5))
    assert clusters.labels.tolist() == [-1, -1, -1]
    assert list(clusters.parameters()) == []


def test_a_refresh_labels_by_sinkhorn_and_moves_prototypes_to_the_means():
    features, _ = blobs(40, 4, 8)
    clusters = QueueClusters(8, 4, queue_size=50)
    unit = features / features.norm(dim=1, keepdim=True)
    labels = sinkhorn_assignment(unit @ clusters.prototypes.T, tolerance=REFRESH_TOLERANCE * 40)
    clusters.refresh(features)
    assert torch.equal(clusters.labels[:40], labels)
    assert (clusters.labels[40:] == -1).all()
    for cluster in range(4):
        total = sum(unit[i] for i in range(40) if labels[i] == cluster)
        assert torch.allclose(clusters.prototypes[cluster], total / total.norm(), atol=1e-6)


def test_refreshes_find_blobs_and_assign_agrees():
    features, blob = blobs(400, 4, 16)
    clusters = QueueClusters(16, 4, queue_size=400)
    for _ in range(10):
        clusters.refresh(features)
    for one in range(4):
        assert len(clusters.labels[blob == one].unique()) == 1
    assert clusters.labels.unique().tolist() == [0, 1, 2, 3]
    assert torch.equal(clusters.assign(features), clusters.labels)


def test_an_unused_cluster_keeps_its_prototype():
    clusters = QueueClusters(4, 3, queue_size=5)
    before = clusters.prototypes.clone()
    clusters.refresh(torch.eye(4)[:1].repeat(5, 1))  # equal rows, hence one label
    used = clusters.labels[0]
    unused = torch.arange(3) != used
    assert torch.equal(clusters.prototypes[unused], before[unused])
    assert torch.allclose(clusters.prototypes[used], torch.eye(4)[0])


def test_assigning_is_the_argmax_of_p_at_any_length():
    clusters = QueueClusters(8, 5, queue_size=1)
    features = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    expected = (features @ clusters.prototypes.T).softmax(dim=1).argmax(dim=1)
    assert torch.equal(clusters.assign(features), expected)
    assert torch.equal(clusters.assign(features * 9), expected)
    assert clusters.assign(features[:0]).shape == (0,)


def test_resumed_clusters_continue_bit_for_bit():
    features, _ = blobs(60, 6, 8)
    clusters = QueueClusters(8, 5, queue_size=60)
    clusters.refresh(features)
    resumed = QueueClusters(8, 5, queue_size=60, seed=9)
    resumed.load_state_dict(copy.deepcopy(clusters.state_dict()))
    for one in (clusters, resumed):
        one.refresh(features.flip(1))
    assert torch.equal(clusters.prototypes, resumed.prototypes)
    assert torch.equal(clusters.labels, resumed.labels)


def test_the_seed_decides_the_first_prototypes():
    first, same, other = (QueueClusters(4, 2, queue_size=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.prototypes, same.prototypes)
    assert not torch.equal(first.prototypes, other.prototypes)


@pytest.mark.parametrize("n", [0, 4])
def test_a_queue_of_another_size_is_refused(n):
    with pytest.raises(ValueError, match=f"queue must hold 1 to 3 rows, got {n}"):
        QueueClusters(2, 2, queue_size=3).refresh(torch.ones(n, 2))


def test_clusters_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 2, 0 and 3"):
        QueueClusters(2, 0, queue_size=3)
