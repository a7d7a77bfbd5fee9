"""Tests of pcl_backbones.checkpointing."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from pcl_backbones import SPVCNN, Res16UNet18A, SparseTensor, SpUNet, SubmanifoldUNet
from pcl_backbones.checkpointing import Checkpointable, checkpoint_activations
from pcl_backbones.testing import surface_scene

NETWORKS = {
    "Res16UNet18A": lambda: Res16UNet18A(3, 4, width=0.25),
    "SpUNet": lambda: SpUNet(3, 4, width=0.25),
    "SPVCNN": lambda: SPVCNN(3, 4, width=0.25, dropout=0.0),
    "SubmanifoldUNet": lambda: SubmanifoldUNet(3, 4, width=0.5),
}


def train_once(network):
    """Everything a step leaves behind, and how many values it keeps for the backward pass."""
    torch.manual_seed(0)
    coords = surface_scene(10)
    features = torch.randn(len(coords), 3, requires_grad=True)
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(SparseTensor(coords, features)).features
    n_kept = sum(kept.values())
    out.square().sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    return {"out": out, "input": features.grad} | gradients | dict(network.named_buffers()), n_kept


@pytest.mark.parametrize("name", NETWORKS)
def test_every_bit_is_the_same_and_less_is_kept(name):
    plain = NETWORKS[name]()
    saving = deepcopy(plain)
    checkpoint_activations(saving)
    wanted, n_plain = train_once(plain)
    found, n_kept = train_once(saving)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert torch.equal(found[key], value), key
    assert n_kept < 0.6 * n_plain


def test_statistics_move_once_a_step():
    network = Res16UNet18A(3, 4, width=0.25)
    checkpoint_activations(network)
    train_once(network)
    counts = [m.num_batches_tracked for m in network.modules() if isinstance(m, nn.BatchNorm1d)]
    assert {int(count) for count in counts} == {1}


def test_only_training_computes_a_block_twice():
    calls = []

    class Block(Checkpointable):
        def forward(self, x):
            calls.append(len(x))
            return x.with_features(x.features.square())

    block = Block()
    checkpoint_activations(block)
    coords = surface_scene(4)
    x = SparseTensor(coords, torch.ones(len(coords), 1, requires_grad=True))
    with torch.no_grad():
        block(x)
    assert len(calls) == 1
    block(x).features.sum().backward()
    assert len(calls) == 3


def test_rejects_a_network_without_blocks():
    with pytest.raises(ValueError, match="network must have Checkpointable blocks, got Linear"):
        checkpoint_activations(nn.Linear(1, 1))
