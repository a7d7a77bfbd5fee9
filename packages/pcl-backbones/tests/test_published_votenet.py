"""Tests of pcl_backbones.published_votenet: files with the names and shapes published."""

import math
from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import Res16UNet14A, load_published_checkpoint
from pcl_backbones.box_coding import SCANNET_CODING, SUNRGBD_CODING
from pcl_backbones.box_detections import decode_proposals
from pcl_backbones.pointnet2 import PointNet2
from pcl_backbones.published_votenet import load_published_votenet
from pcl_backbones.sparse_seeds import SparseSeeds
from pcl_backbones.votenet import VoteNet

# Channels of the shared layers of VoteNet's PointNet++, from (x, y, z, height) on.
SET_ABSTRACTION = [
    [4, 64, 64, 128],
    [131, 128, 128, 256],
    [259, 128, 128, 256],
    [259, 128, 128, 256],
]
FEATURE_PROPAGATION = [[512, 256, 256], [512, 256, 256]]


def norm(name, channels):
    """The tensors of a batch norm."""
    shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
    return {f"{name}.{key}": shape for key, shape in (shapes | {"num_batches_tracked": ()}).items()}


def shared_layers(name, channels):
    """The tensors of 1x1 convolutions, each with a batch norm."""
    shapes = {}
    for i, (before, after) in enumerate(pairwise(channels)):
        shapes[f"{name}.layer{i}.conv.weight"] = (after, before, 1, 1)
        shapes |= norm(f"{name}.layer{i}.bn.bn", after)
    return shapes


def convolutions(name, channels):
    """conv1 to conv3 with biases, and norms after the first two."""
    shapes = {}
    for i, (before, after) in enumerate(pairwise(channels), start=1):
        shapes[f"{name}.conv{i}.weight"] = (after, before, 1)
        shapes[f"{name}.conv{i}.bias"] = (after,)
        if i < 3:
            shapes |= norm(f"{name}.bn{i}", after)
    return shapes


def published_tensors(n_outputs):
    """A state dict as VoteNet's code makes it, with numbers at random."""
    shapes = {}
    for i, channels in enumerate(SET_ABSTRACTION, start=1):
        shapes |= shared_layers(f"backbone_net.sa{i}.mlp_module", channels)
    for i, channels in enumerate(FEATURE_PROPAGATION, start=1):
        shapes |= shared_layers(f"backbone_net.fp{i}.mlp", channels)
    shapes |= convolutions("vgen", [256, 256, 256, 259])
    shapes |= shared_layers("pnet.vote_aggregation.mlp_module", [259, 128, 128, 128])
    shapes |= convolutions("pnet", [128, 128, 128, n_outputs])
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(shape, generator=generator) if shape else torch.tensor(7)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file as VoteNet writes it for SUN RGB-D: 2 + 3 + 2 * 12 + 4 * 10 + 10 outputs."""
    path = tmp_path_factory.mktemp("published") / "checkpoint.tar"
    content = {"epoch": 180, "loss": torch.tensor(1.0), "optimizer_state_dict": {"state": {}}}
    torch.save(content | {"model_state_dict": published_tensors(79)}, path)
    return path


def turned(rows):
    """Channels 5 to 28 by the definition: bin j of 12 is bin -j, the residual has another sign."""
    expected = rows.clone()
    for j in range(12):
        expected[5 + j] = rows[5 + (12 - j) % 12]
        expected[17 + j] = -rows[17 + (12 - j) % 12]
    return expected


def test_every_tensor_of_the_published_model_has_its_place(checkpoint):
    model, tensors = VoteNet(PointNet2(1, width=1.0), SUNRGBD_CODING), published_tensors(79)
    report = load_published_votenet(model, checkpoint)
    assert set(report.loaded) == set(tensors)
    assert report.missing == report.mismatched == report.unused == ()
    for name, value in model.state_dict().items():
        wanted = turned(tensors[name]) if name.startswith("pnet.conv3") else tensors[name]
        assert torch.equal(value, wanted), name


def test_headings_turn_the_other_way(checkpoint):
    there, back = (
        VoteNet(PointNet2(1, width=1.0), SUNRGBD_CODING, n_proposals=16).eval() for _ in range(2)
    )
    load_published_checkpoint(there, checkpoint)
    load_published_votenet(back, checkpoint)
    votes, features = torch.rand(1, 64, 3) * 3, torch.rand(1, 256, 64)
    (clockwise,), (counter,) = (
        decode_proposals(model.pnet(votes, features), SUNRGBD_CODING) for model in (there, back)
    )
    assert_close(counter.boxes[:, :6], clockwise.boxes[:, :6])
    turn = (counter.boxes[:, 6] + clockwise.boxes[:, 6]) / (2 * math.pi)
    assert_close(turn, turn.round(), atol=1e-4, rtol=0)
    assert clockwise.boxes[:, 6].abs().max() > 0.1


def test_other_classes_keep_their_last_layer(checkpoint):
    model = VoteNet(PointNet2(1, width=1.0), SCANNET_CODING)
    before = model.pnet.conv3.weight.clone()
    report = load_published_votenet(model, checkpoint)
    assert report.mismatched == ("pnet.conv3.weight", "pnet.conv3.bias")
    assert torch.equal(model.pnet.conv3.weight, before)


def test_csc_names_fit_the_sparse_network(tmp_path):
    model, other = (
        VoteNet(SparseSeeds(Res16UNet14A(3, 16, width=0.125)), SCANNET_CODING, seed_channels=16)
        for _ in range(2)
    )
    tensors = other.state_dict()
    assert "backbone_net.net.conv0p1s1.kernel" in tensors
    path = tmp_path / "csc.pth"
    torch.save({f"module.{name}": value for name, value in tensors.items()}, path)
    report = load_published_votenet(model, path, kernel_order="cube")
    assert report.missing == report.unused == ()
    for name, value in model.state_dict().items():
        assert torch.equal(value, tensors[name]) or name.startswith("pnet.conv3"), name


def test_another_architecture_is_refused(tmp_path):
    path, model = tmp_path / "unet.pth", VoteNet(PointNet2(1, width=1.0), SUNRGBD_CODING)
    torch.save(Res16UNet14A(3, 20, width=0.125).state_dict(), path)
    before = model.pnet.conv3.weight.clone()
    with pytest.raises(ValueError, match="must fit at least 50% of the model, got 0%"):
        load_published_votenet(model, path)
    assert torch.equal(model.pnet.conv3.weight, before)
