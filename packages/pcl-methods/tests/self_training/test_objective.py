"""Tests of pcl_methods.self_training.objective."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from pcl_data import SCANNET20
from pcl_methods.self_training.batches import BatchContents, twist_batches
from pcl_methods.self_training.objective import (
    RecorrectorTraining,
    recorrection_losses,
    twist_losses,
)


@pytest.fixture
def batch(model, split) -> dict:
    contents = BatchContents(labeled_scenes=1)
    return twist_batches(model, split, contents, None, (0, 0))[0]


@pytest.fixture
def perfect(model, batch):
    """True classes and offsets."""
    prediction = model.network(batch["coords"], batch["features"])
    one_hot = torch.nn.functional.one_hot(batch["labels"].clamp(min=0), SCANNET20.n_classes)
    return prediction._replace(logits=10.0 * one_hot, offsets=batch["centers"] - batch["points"])


def test_semantic_loss_is_cross_entropy_over_labeled_voxels(model, batch):
    batch["labels"][::3] = -1
    losses = twist_losses(model, batch, None)
    logits = model.network(batch["coords"], batch["features"]).logits
    expected = cross_entropy(logits, batch["labels"], ignore_index=-1)
    assert torch.allclose(losses["labeled_semantic"], expected, atol=1e-5)
    assert losses.keys() == {"loss", "labeled_semantic", "labeled_offset"}
    assert torch.allclose(losses["loss"], losses["labeled_semantic"] + losses["labeled_offset"])


def test_pseudo_labeled_scenes_weigh_as_much_as_is_pseudo_labeled(model, batch):
    batch["labels"][::2] = -1
    batch["instances"][::2] = -1
    truth = twist_losses(model, batch, None)
    batch["is_labeled"][:] = False
    losses = twist_losses(model, batch, None)
    assert "labeled_semantic" not in losses
    for key, mask in (("semantic", batch["labels"] >= 0), ("offset", batch["instances"] >= 0)):
        expected = truth[f"labeled_{key}"] * mask.float().mean()
        assert torch.allclose(losses[f"unlabeled_{key}"], expected, atol=1e-6)


def test_perfect_predictions_propose_the_instances(model, batch, perfect):
    every = batch["batch_index"] >= 0
    proposals = model.propose(batch["points"], perfect, batch["batch_index"], every)
    instances = batch["instances"]
    assert torch.equal(proposals >= 0, instances >= 0)
    assert len(set(zip(proposals.tolist(), instances.tolist(), strict=True)) - {(-1, -1)}) == 4


def test_the_recorrector_leaves_the_features_alone(model, batch, perfect):
    losses = recorrection_losses(model, perfect, batch, RecorrectorTraining())
    assert set(losses) == {"recorrector_class", "recorrector_score"}
    sum(losses.values()).backward()
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert any(parameter.grad is not None for parameter in model.recorrector.parameters())


@pytest.mark.parametrize(("mutate", "transform"), [(False, False), (True, False), (False, True)])
def test_augmentation_changes_what_the_recorrector_sees(model, batch, perfect, mutate, transform):
    """Without it the best match of a perfect proposal is exact, and nothing is random."""
    seen = []

    def see(module, arguments):
        seen.append(arguments)

    model.recorrector.register_forward_pre_hook(see)
    settings = RecorrectorTraining(mutate=mutate, transform=transform)
    for seed in range(2):
        torch.manual_seed(seed)
        recorrection_losses(model, perfect, batch, settings)
    (points, _, index, n_proposals), (again, _, index_again, _) = seen
    assert n_proposals == 4
    assert torch.equal(index, index_again) == (not mutate)
    assert (len(points) == len(again) and torch.equal(points, again)) == (
        not mutate and not transform
    )


def test_without_proposals_the_recorrector_has_no_loss(model, batch, perfect):
    floor = SCANNET20.names.index("floor")
    perfect.logits[:] = 0
    perfect.logits[:, floor] = 1
    assert recorrection_losses(model, perfect, batch, RecorrectorTraining()) == {}
