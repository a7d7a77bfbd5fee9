"""Tests of pcl_backbones.submanifold_unet."""

import pytest
import torch

from pcl_backbones import SparseTensor, SubmanifoldUNet
from pcl_backbones.testing import check_backbone, surface_scene


def test_keeps_the_contract():
    check_backbone(lambda: SubmanifoldUNet(3, 4, width=0.25), total_stride=64)


def test_has_the_parameters_of_its_description():
    levels = [16 * i for i in range(1, 8)]
    wanted = 27 * 1 * 16 + 2 * 16 + 16 * 19 + 19  # first convolution, last norm, last layer
    for i, count in enumerate(levels):
        wanted += 2 * count + 27 * count * count  # norm and convolution on the way down
        if i + 1 < len(levels):
            deeper = levels[i + 1]
            wanted += 2 * count + 8 * count * deeper + 2 * deeper + 8 * deeper * count
            wanted += 2 * 2 * count + 27 * 2 * count * count  # on the way up, after joining
    assert sum(p.numel() for p in SubmanifoldUNet(1, 19).parameters()) == wanted


def test_features_have_the_channels_it_names():
    coords = surface_scene(6)
    network = SubmanifoldUNet(1, None, width=0.5)
    out = network(SparseTensor(coords, torch.ones(len(coords), 1)))
    assert out.features.shape == (len(coords), network.feature_channels) == (len(coords), 8)


def test_rejects_a_width_of_nothing():
    with pytest.raises(ValueError, match=r"width must be above 0 and finite, got 0\.0"):
        SubmanifoldUNet(1, 19, width=0.0)


def test_the_momentum_is_that_of_every_norm():
    network = SubmanifoldUNet(1, None, width=0.25, bn_momentum=0.03)
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm1d)]
    assert {norm.momentum for norm in norms} == {0.03}
