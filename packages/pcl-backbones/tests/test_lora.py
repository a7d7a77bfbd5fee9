"""Tests of pcl_backbones.lora."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from pcl_backbones import (
    SPVCNN,
    Res16UNet14A,
    SparseTensor,
    SpUNet,
    SubmanifoldUNet,
    add_lora,
    checkpoint_activations,
    cpu_engine,
    load_weights,
    merge_lora,
    save_weights,
)
from pcl_backbones.sparse import BatchNorm, Conv3d, ConvTranspose3d, conv_norm
from pcl_backbones.testing import surface_scene


def small(seed=0):
    torch.manual_seed(seed)
    return Res16UNet14A(3, 2, width=0.125)


def scene():
    coords = surface_scene(8)
    generator = torch.Generator().manual_seed(1)
    return SparseTensor(coords, torch.randn(len(coords), 3, generator=generator))


def outputs(network):
    """Of evaluation without gradients (fused), with them, and of training."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        fused = network.eval()(scene()).features
    return fused, network(scene()).features, network.train()(scene()).features


def adapted(seed=0):
    """A network whose low-rank terms are not zero, with running statistics of its own."""
    network = small(seed)
    network.train()(scene())
    for parameter in add_lora(network, rank=2, scale=0.5):
        nn.init.normal_(parameter, std=0.3)
    return network


def test_new_terms_change_no_bit():
    network = small()
    before = outputs(network)
    add_lora(network)
    assert all(torch.equal(a, b) for a, b in zip(outputs(network), before, strict=True))


@pytest.mark.parametrize(
    "kernel_of",
    [lambda: Conv3d(3, 4, 3), lambda: ConvTranspose3d(3, 4, 2), lambda: Conv3d(3, 4, 1)],
)
def test_the_kernel_in_use_is_the_frozen_one_plus_a_scaled_product(kernel_of):
    layer = kernel_of()
    before = layer.kernel.detach().clone()
    down, up = add_lora(layer, rank=2, scale=0.25)
    nn.init.normal_(up)
    rows = before.reshape(-1, 4).clone()
    for i in range(len(rows)):
        for j in range(4):
            rows[i, j] += 0.25 * sum(down[i, r] * up[r, j] for r in range(2)).item()
    assert_close(layer.kernel.detach(), rows.reshape(before.shape))
    assert down.shape == (len(rows), 2)


def test_rank_is_no_larger_than_a_side():
    assert [p.shape for p in add_lora(Conv3d(96, 3, 1), rank=8)] == [(96, 3), (3, 3)]
    assert [p.shape for p in add_lora(Conv3d(3, 96, 1), rank=8)] == [(3, 3), (3, 96)]


def test_only_the_new_parameters_get_gradients_and_all_of_them_do():
    network = adapted()
    network.train()(scene()).features.square().sum().backward()
    trained = [p for n, p in network.named_parameters() if n.endswith((".down", ".up"))]
    convolutions = [m for m in network.modules() if isinstance(m, Conv3d | ConvTranspose3d)]
    assert len(trained) == 2 * len(convolutions) > 40
    assert all(p.grad is not None and p.grad.any() for p in trained)
    with_gradient = [p for p in network.parameters() if p.grad is not None]
    assert len(with_gradient) == len(trained)
    assert sum(p.requires_grad for p in network.parameters()) == len(trained)


def test_the_returned_parameters_are_those_in_the_network():
    network = small()
    new = add_lora(network)
    assert {id(p) for p in new} == {id(p) for p in network.parameters() if p.requires_grad}


def test_a_step_moves_the_outputs_and_leaves_the_frozen_values():
    network = small()
    frozen = {n: p.clone() for n, p in network.named_parameters()}
    network.eval()
    optimizer = torch.optim.SGD(add_lora(network), lr=1.0)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = (network(scene()).features - 1).square().mean()
        with torch.no_grad():  # fused: not what an earlier step left
            assert_close((network(scene()).features - 1).square().mean(), loss)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]
    for name, value in network.named_parameters():
        name = name.replace(".parametrizations.kernel.original", ".kernel")
        assert name not in frozen or torch.equal(frozen[name], value)


def test_merged_network_gives_the_same_bits_under_the_old_names():
    network = adapted()
    before = outputs(network)
    merge_lora(network)
    assert all(torch.equal(a, b) for a, b in zip(outputs(network), before, strict=True))
    plain = small()
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert type(network.conv0p1s1) is Conv3d
    assert not any(p.requires_grad for p in network.parameters())


def test_merged_weights_load_into_a_plain_network(tmp_path):
    network, plain = adapted(), small(5)
    before = outputs(network)
    merge_lora(network)
    save_weights(network, tmp_path / "a.safetensors")
    load_weights(plain, tmp_path / "a.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(outputs(plain), before, strict=True))


def test_terms_are_saved_with_the_network_until_merged(tmp_path):
    network = adapted()
    save_weights(network, tmp_path / "a.safetensors")
    other = small(5)
    add_lora(other, rank=2, scale=0.5)
    load_weights(other, tmp_path / "a.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(outputs(other), outputs(network), strict=True))


def test_evaluation_is_still_fused(monkeypatch):
    network, epilogues = adapted().eval(), []
    convolution = cpu_engine.sum_of_products

    def recorded(features, kernel, kernel_map, epilogue=None):
        epilogues.append(epilogue)
        return convolution(features, kernel, kernel_map, epilogue)

    monkeypatch.setattr(cpu_engine, "sum_of_products", recorded)
    with torch.no_grad():
        network(scene())
    with_slots = [m for m in network.modules() if isinstance(m, Conv3d | ConvTranspose3d)]
    n_expected = sum(m.kernel_size > 1 for m in with_slots)
    assert len(epilogues) == n_expected > 20
    assert None not in epilogues


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_a_layer_computes_its_kernel_once(kernel_size):
    layer, norm, counts = Conv3d(3, 4, kernel_size), BatchNorm(4).eval(), []
    add_lora(layer)
    layer.parametrizations.kernel[0].register_forward_hook(lambda *_: counts.append(1))
    layer(scene())
    assert len(counts) == 1
    with torch.no_grad():  # fused
        conv_norm(layer, norm, scene())
    assert len(counts) == 2


def test_autocast_adds_the_merged_kernel():
    """The product is not rounded to bfloat16 by itself."""
    network = adapted().eval()
    with torch.no_grad(), torch.autocast("cpu"):
        before = network(scene()).features
    merge_lora(network)
    with torch.no_grad(), torch.autocast("cpu"):
        assert torch.equal(network(scene()).features, before)


def test_checkpointed_blocks_give_the_same_gradients():
    gradients = []
    for is_checkpointed in (False, True):
        network = adapted()
        if is_checkpointed:
            checkpoint_activations(network)
        network.train()(scene()).features.square().sum().backward()
        gradients.append([p.grad for p in network.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    "factory",
    [
        lambda: SpUNet(3, 2, width=0.125),
        lambda: SPVCNN(3, 2, width=0.125, dropout=0.0),
        lambda: SubmanifoldUNet(3, 2, width=0.25),
    ],
)
def test_every_network_takes_terms_and_merges_them(factory):
    network = factory()
    names = set(network.state_dict())
    for parameter in add_lora(network, rank=1):
        nn.init.normal_(parameter, std=0.3)
    before = outputs(network)
    merge_lora(network)
    assert all(torch.equal(a, b) for a, b in zip(outputs(network), before, strict=True))
    assert set(network.state_dict()) == names


def test_rejects():
    network = small()
    with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
        add_lora(network, rank=0)
    with pytest.raises(
        ValueError, match="model must have low-rank terms, got none in Res16UNet14A"
    ):
        merge_lora(network)
    with pytest.raises(ValueError, match="model must have sparse convolutions, got Linear"):
        add_lora(nn.Linear(2, 2))
    assert all(p.requires_grad for p in network.parameters())
    add_lora(network)
    with pytest.raises(ValueError, match="model must have no low-rank terms, got some"):
        add_lora(network)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_terms_are_on_the_device_of_the_kernel():
    layer = Conv3d(3, 4, 3).cuda()
    assert all(p.is_cuda for p in add_lora(layer))
