"""Tests of pcl_methods.segmentation.encoding."""

import torch
from torch import nn

from pcl_backbones import Res16UNet14A
from pcl_methods.segmentation.encoding import encode_scene, untouched


def test_looking_changes_neither_modes_nor_statistics_nor_random_numbers():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2)).train()
    module[1].eval()  # frozen
    before = module[0].running_mean.clone()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with untouched(module):
        assert not module[0].training
        module(torch.rand(4, 2))
    assert torch.equal(torch.rand(1), expected)
    assert (module[0].training, module[1].training) == (True, False)
    assert torch.equal(module[0].running_mean, before)


def test_a_scene_is_encoded_by_its_voxels(room):
    backbone = Res16UNet14A(3, None, width=0.25).train()
    encoded = encode_scene(backbone, room, voxel_size=0.1)
    assert backbone.training
    assert not encoded.features.requires_grad
    assert len(encoded.inverse) == len(room.points)
    assert int(encoded.inverse.max()) + 1 == len(encoded.features) == len(encoded.labels)
    points = torch.from_numpy(room.labels)
    assert (encoded.labels[encoded.inverse] == points).float().mean() > 0.8


def test_looking_is_in_full_precision_amid_a_training_that_is_not():
    layer = nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
        with untouched(layer):
            assert layer(torch.ones(1, 2)).dtype == torch.float32
