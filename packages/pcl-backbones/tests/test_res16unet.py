"""Tests of pcl_backbones.res16unet."""

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import MinkUNet14A, Res16UNet14A, Res16UNet18A, Res16UNet34C, SparseTensor
from pcl_backbones.testing import check_backbone, surface_scene


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("network", [Res16UNet14A, Res16UNet18A, Res16UNet34C])
def test_keeps_the_contract(network):
    check_backbone(lambda: network(3, 2, width=0.125))


@pytest.mark.parametrize("out_channels", [None, 20, 32])
def test_34c_has_the_published_number_of_parameters(out_channels):
    head = 0 if out_channels is None else 97 * out_channels
    with torch.device("meta"):
        network = Res16UNet34C(3, out_channels)
    assert n_parameters(network) == 37_844_704 + head
    if out_channels == 20:
        assert n_parameters(network) == 37_846_644


def test_mink_unet_14a_has_two_heads_and_the_published_number_of_parameters():
    with torch.device("meta"):
        network = MinkUNet14A(3)
    assert n_parameters(network) == 8_112_480  # 8.2 M in the papers, which round up
    assert {"final.bias", "local_feature.bias"} <= set(network.state_dict())


def test_34c_has_the_published_names_and_shapes():
    with torch.device("meta"):
        shapes = {n: tuple(v.shape) for n, v in Res16UNet34C(3, 20).state_dict().items()}
    expected = {
        "conv0p1s1.kernel": (27, 3, 32),
        "conv1p1s2.kernel": (8, 32, 32),
        "conv2p2s2.kernel": (8, 32, 32),
        "conv3p4s2.kernel": (8, 64, 64),
        "conv4p8s2.kernel": (8, 128, 128),
        "convtr4p16s2.kernel": (8, 256, 256),
        "convtr5p8s2.kernel": (8, 256, 128),
        "convtr6p4s2.kernel": (8, 128, 96),
        "convtr7p2s2.kernel": (8, 96, 96),
        "bn0.bn.running_var": (32,),
        "bn4.bn.weight": (128,),
        "bntr7.bn.num_batches_tracked": (),
        "block4.5.conv2.kernel": (27, 256, 256),
        "block5.0.conv1.kernel": (27, 384, 256),
        "block5.0.downsample.0.kernel": (384, 256),
        "block5.0.downsample.1.bn.bias": (256,),
        "block8.1.norm2.bn.weight": (96,),
        "final.kernel": (96, 20),
        "final.bias": (1, 20),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    for block, n_blocks in zip(range(1, 9), (2, 3, 4, 6, 2, 2, 2, 2), strict=True):
        inside = {n.split(".")[1] for n in shapes if n.startswith(f"block{block}.")}
        assert inside == {str(i) for i in range(n_blocks)}
    assert "block1.0.downsample.0.kernel" not in shapes  # 32 to 32 needs none


def test_momentum_is_given_outside_the_blocks_only():
    network = Res16UNet14A(3, 2, width=0.125, bn_momentum=0.05)
    assert {network.bn0.bn.momentum, network.bntr7.bn.momentum} == {0.05}
    assert network.block1[0].norm1.bn.momentum == 0.1
    assert network.block2[0].downsample[1].bn.momentum == 0.1


def test_the_last_layer_maps_the_features():
    network = Res16UNet14A(3, 5, width=0.25).eval()
    coords = surface_scene(6)
    x = SparseTensor(coords, torch.randn(len(coords), 3))
    features = network.features(x)
    assert features.features.shape == (len(coords), network.feature_channels)
    assert network.feature_channels == 24
    assert torch.equal(features.coords, coords)
    assert torch.equal(network(x).features, network.final(features).features)
    bare = Res16UNet14A(3, None, width=0.25)
    assert bare.final is None
    assert bare(x).features.shape == (len(coords), 24)


def test_features_keep_the_order_of_rows_bit_for_bit():
    network = Res16UNet14A(3, None, width=0.25)
    coords = surface_scene(8)
    features, order = torch.randn(len(coords), 3), torch.randperm(len(coords))
    out = network(SparseTensor(coords, features)).features
    assert torch.equal(network(SparseTensor(coords[order], features[order])).features, out[order])


def test_skipped_features_follow_the_upsampled_ones():
    network, seen = Res16UNet14A(3, None, width=0.25), {}
    for name in ("conv1p1s2", "block8"):
        network.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: seen.update({name: inputs[0].features})
        )
    coords = surface_scene(6)
    network(SparseTensor(coords, torch.randn(len(coords), 3)))
    assert torch.equal(seen["block8"][:, 24:], seen["conv1p1s2"])


@pytest.mark.parametrize("training", [False, True])
def test_one_voxel(training):
    network = Res16UNet14A(3, 5, width=0.25).train(training)
    out = network(SparseTensor(torch.tensor([[0, -7, 5, 3]]).int(), torch.rand(1, 3)))
    assert out.features.isfinite().all()


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="width must be above 0 and finite, got 0"):
        Res16UNet14A(3, 5, width=0.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    network, coords = Res16UNet14A(3, 5, width=0.25).double(), surface_scene(12)
    features = torch.randn(len(coords), 3).double()
    on_cpu = network(SparseTensor(coords, features)).features
    on_gpu = network.cuda()(SparseTensor(coords.cuda(), features.cuda())).features
    assert_close(on_gpu.cpu(), on_cpu)
