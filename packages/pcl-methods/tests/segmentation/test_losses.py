"""Tests of pcl_methods.segmentation.losses."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from pcl_methods.segmentation.losses import rarity_weights, segmentation_losses, voxel_cross_entropy
from pcl_methods.segmentation.network import VoxelPrediction

EVERY = torch.ones(6, dtype=torch.bool)


@pytest.fixture
def prediction() -> VoxelPrediction:
    generator = torch.Generator().manual_seed(0)
    sizes = (6, 8), (6, 4), (6, 3)
    values = (torch.randn(*size, generator=generator, requires_grad=True) for size in sizes)
    return VoxelPrediction(*values)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "labels": torch.tensor([0, 3, -1, 2, -1, 1]),
        "instances": torch.tensor([0, 0, -1, 1, 2, -1]),
        "points": torch.randn(6, 3, generator=generator),
        "centers": torch.randn(6, 3, generator=generator),
    }


@pytest.mark.parametrize("rows", [EVERY, torch.tensor([1, 1, 1, 0, 1, 0], dtype=torch.bool)])
def test_the_losses_are_means_over_annotated_voxels(prediction, batch, rows):
    """Eqs. 1 and 2 of TWIST, voxel by voxel."""
    semantic, offset = [], []
    for i in range(6):
        if rows[i] and batch["labels"][i] >= 0:
            semantic.append(-prediction.logits[i].log_softmax(dim=0)[batch["labels"][i]])
        if rows[i] and batch["instances"][i] >= 0:
            target = batch["centers"][i] - batch["points"][i]
            cosine = torch.cosine_similarity(prediction.offsets[i], target, dim=0)
            offset.append((prediction.offsets[i] - target).abs().sum() - cosine)
    losses = segmentation_losses(prediction, batch, rows)
    assert losses.keys() == {"semantic", "offset"}
    # float32, and an epsilon in the length of offsets
    assert torch.allclose(losses["semantic"], torch.stack(semantic).mean(), atol=1e-6)
    assert torch.allclose(losses["offset"], torch.stack(offset).mean(), atol=1e-5)


def test_without_annotation_the_losses_are_zero_and_have_a_gradient(prediction, batch):
    batch["labels"][:], batch["instances"][:] = -1, -1
    losses = segmentation_losses(prediction, batch, EVERY)
    assert {key: value.item() for key, value in losses.items()} == {"semantic": 0, "offset": 0}
    sum(losses.values()).backward()
    assert (prediction.logits.grad == 0).all()


def test_a_semantic_network_needs_no_instances(prediction, batch):
    losses = segmentation_losses(
        prediction._replace(offsets=None), {"labels": batch["labels"]}, EVERY
    )
    assert losses.keys() == {"semantic"}


def test_an_unlabeled_voxel_has_no_cross_entropy(prediction, batch):
    values = voxel_cross_entropy(prediction.logits, batch["labels"])
    expected = -prediction.logits.log_softmax(dim=1)[torch.arange(6), batch["labels"]]
    assert torch.equal(values[[2, 4]], torch.zeros(2))
    # float32
    assert torch.allclose(values[[0, 1, 3, 5]], expected[[0, 1, 3, 5]], atol=1e-6)


def test_a_batch_may_say_what_is_learned_of_each_voxel(prediction, batch):
    targets = torch.rand_like(prediction.logits).softmax(dim=1).detach()
    told = {**batch, "class_targets": targets}
    rows = torch.tensor([0, 2, 3])  # the second has no label
    expected = -(targets * prediction.logits.log_softmax(dim=1)).sum(dim=1)[[0, 3]].mean()
    found = segmentation_losses(prediction, told, rows)["semantic"]
    assert torch.allclose(found, expected, atol=1e-6)


def test_rare_classes_weigh_more(prediction, batch):
    weights = torch.tensor([1.0, 5.0, 2.0, 3.0])
    semantic = segmentation_losses(prediction, batch, EVERY, weights)["semantic"]
    expected = cross_entropy(prediction.logits, batch["labels"], weights, ignore_index=-1)
    assert torch.allclose(semantic, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(0.0, [1, 1, 1, 1]), (1.0, [1, 8, 1, 27]), (1 / 3, [1, 2, 1, 3])],
)
def test_weights_are_a_power_of_the_inverse_frequency(exponent, expected):
    counts = torch.tensor([216, 27, 0, 8])
    assert torch.allclose(rarity_weights(counts, exponent), torch.tensor(expected).float())


def test_smoothed_classes_are_learned_where_a_class_is_annotated(prediction, batch):
    targets = torch.full((prediction.logits.shape[1],) * 2, 0.01)
    targets.fill_diagonal_(1 - 0.01 * (len(targets) - 1))
    semantic = segmentation_losses(prediction, batch, EVERY, class_targets=targets)["semantic"]
    slow = [
        -(targets[label] * row.log_softmax(0)).sum()
        for row, label in zip(prediction.logits, batch["labels"], strict=True)
        if label >= 0
    ]
    assert torch.allclose(semantic, torch.stack(slow).mean())
    one_hot = torch.eye(len(targets))
    plain = segmentation_losses(prediction, batch, EVERY)["semantic"]
    same = segmentation_losses(prediction, batch, EVERY, class_targets=one_hot)["semantic"]
    assert torch.allclose(plain, same)
