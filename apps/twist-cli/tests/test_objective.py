"""Tests of twist_cli.objective."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from twist_cli.network import build_networks
from twist_cli.objective import TwistObjective, limit_proposals, propose_voxels
from twist_cli.samples import step_batches
from twist_cli.scenes import open_split

from pcl_data import SCANNET20
from twist_cli.config import DataConfig, ModelConfig, RunConfig, TrainConfig, TwistConfig


@pytest.fixture
def config(scans) -> RunConfig:
    return RunConfig(
        data=DataConfig(root=scans, labeled=("scene0",), validation=("scene5",)),
        model=ModelConfig(backbone="res16unet14a", width=0.25, voxel_size=0.08),
        train=TrainConfig(steps=4, labeled_scenes=1, unlabeled_scenes=0),
        twist=TwistConfig(pseudo_labels="none", min_points=5),
    )


@pytest.fixture
def objective(config) -> TwistObjective:
    torch.manual_seed(0)
    return TwistObjective(config, SCANNET20, *build_networks(config, SCANNET20.n_classes))


@pytest.fixture
def batch(config) -> dict:
    return step_batches(config, open_split(config.data, 0), 0, None)[0]


def test_semantic_loss_is_cross_entropy_over_labeled_voxels(objective, batch):
    batch["labels"][::3] = -1
    torch.manual_seed(1)
    losses = objective(batch, train_recorrector=False)
    logits = objective.network(batch["coords"], batch["features"]).logits
    expected = cross_entropy(logits, batch["labels"], ignore_index=-1)
    assert torch.allclose(losses["labeled_semantic"], expected, atol=1e-5)
    assert "unlabeled_semantic" not in losses
    assert torch.allclose(losses["loss"], losses["labeled_semantic"] + losses["labeled_offset"])


def test_pseudo_labeled_scenes_weigh_as_much_as_is_pseudo_labeled(objective, batch):
    batch["labels"][::2] = -1
    batch["instances"][::2] = -1
    truth = objective(batch, train_recorrector=False)
    batch["is_labeled"][:] = False
    losses = objective(batch, train_recorrector=False)
    assert "labeled_semantic" not in losses
    for key, mask in (("semantic", batch["labels"] >= 0), ("offset", batch["instances"] >= 0)):
        expected = truth[f"labeled_{key}"] * mask.float().mean()
        assert torch.allclose(losses[f"unlabeled_{key}"], expected, atol=1e-6)


def test_recorrector_leaves_the_features_alone(objective, batch):
    """TW-13: the loss of Ψ sends no gradient into Φ."""
    prediction = objective.network(batch["coords"], batch["features"])
    one_hot = torch.nn.functional.one_hot(batch["labels"].clamp(min=0), SCANNET20.n_classes)
    target = batch["centers"] - batch["points"]
    perfect = prediction._replace(logits=10.0 * one_hot, offsets=target)
    losses = objective._recorrection_losses(perfect, batch)
    assert set(losses) == {"recorrector_class", "recorrector_score"}
    sum(losses.values()).backward()
    assert all(parameter.grad is None for parameter in objective.network.parameters())
    assert any(parameter.grad is not None for parameter in objective.recorrector.parameters())


def test_perfect_predictions_propose_the_instances(objective, batch, config):
    prediction = objective.network(batch["coords"], batch["features"])
    one_hot = torch.nn.functional.one_hot(batch["labels"].clamp(min=0), SCANNET20.n_classes)
    perfect = prediction._replace(
        logits=one_hot.float(), offsets=batch["centers"] - batch["points"]
    )
    proposals = propose_voxels(
        config,
        objective.stuff,
        batch["points"],
        perfect,
        batch["batch_index"],
        batch["batch_index"] >= 0,
    )
    instances = batch["instances"]
    assert torch.equal(proposals >= 0, instances >= 0)
    assert len(set(zip(proposals.tolist(), instances.tolist(), strict=True)) - {(-1, -1)}) == 4


def test_class_agnostic_clusters_join_touching_classes(objective, config):
    """Table 5, row 2: classes do not separate clusters, the foreground mask stays."""
    chair, table, floor = (SCANNET20.names.index(name) for name in ("chair", "table", "floor"))
    points = torch.rand(40, 3) * 0.05
    labels = torch.tensor([chair] * 15 + [table] * 15 + [floor] * 10)
    logits = torch.nn.functional.one_hot(labels, SCANNET20.n_classes).float()
    prediction = objective.network(
        torch.from_numpy(np.arange(160).reshape(40, 4).astype(np.int32))
        * torch.tensor([0, 1, 1, 1]).int(),
        torch.zeros(40, 3),
    )._replace(logits=logits, offsets=torch.zeros(40, 3))
    batch_index = torch.zeros(40, dtype=torch.int64)
    agnostic = config.model_copy(
        update={"twist": config.twist.model_copy(update={"semantic_to_offset": False})}
    )
    by_class = propose_voxels(
        config, objective.stuff, points, prediction, batch_index, batch_index >= 0
    )
    joined = propose_voxels(
        agnostic, objective.stuff, points, prediction, batch_index, batch_index >= 0
    )
    assert by_class.unique().tolist() == [-1, 0, 1]
    assert joined.unique().tolist() == [-1, 0]
    assert (joined[30:] == -1).all()


def test_limit_draws_proposals_and_renumbers():
    proposals = torch.tensor([-1, 0, 0, 1, 2, 2, 3])
    limited = limit_proposals(proposals, 2)
    assert limited.unique().tolist() == [-1, 0, 1]
    assert limited[0] == -1
    assert limited[1] == limited[2]
    assert limited[4] == limited[5]
    assert torch.equal(limit_proposals(proposals, 4), proposals)
