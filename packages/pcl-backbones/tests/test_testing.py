"""Tests of pcl_backbones.testing: the contract notices what it promises to notice."""

import pytest
import torch
from torch import nn

from pcl_backbones.sparse import Conv3d
from pcl_backbones.testing import check_backbone, surface_scene


class Broken(nn.Module):
    def __init__(self, change, unused=False):
        super().__init__()
        self.conv, self.change = Conv3d(3, 2, 3), change
        if unused:
            self.extra = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.change(x, self.conv(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: y.with_features(y.features + torch.arange(len(y))[:, None]), "row order"),
        (lambda x, y: y.with_features(y.features + y.features.mean()), "scenes mix"),
        (lambda x, y: y.with_features(y.features + x.coords[:, 1:2]), "a shift by the stride"),
        (lambda x, y: y.with_features(y.features * torch.rand(1)), "same in every run"),
        (lambda x, y: y.with_features(y.features * 0), "must get a finite gradient"),
    ],
)
def test_a_broken_backbone_is_noticed(change, message):
    with pytest.raises(AssertionError, match=message):
        check_backbone(lambda: Broken(change))


def test_an_unused_parameter_is_noticed():
    with pytest.raises(AssertionError, match="extra must get a finite gradient"):
        check_backbone(lambda: Broken(lambda x, y: y, unused=True))


def test_the_scene_has_each_voxel_once():
    coords = surface_scene(10, scene=2)
    assert len(torch.unique(coords, dim=0)) == len(coords)
    assert coords[:, 0].unique().tolist() == [2]
