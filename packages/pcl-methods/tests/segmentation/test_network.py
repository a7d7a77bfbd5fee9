"""Tests of pcl_methods.segmentation.network."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

import pcl_run
from pcl_methods.segmentation.network import (
    BACKBONES,
    SegmentationNetwork,
    build_backbone,
    freeze_batch_norms,
)

COORDS = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.int32)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_backbone_takes_any_channels(name, channels):
    backbone = build_backbone(name, channels, width=0.25)
    assert isinstance(backbone, BACKBONES[name])
    network = SegmentationNetwork(backbone, 5)
    prediction = network(COORDS, torch.rand(3, channels))
    assert prediction.features.shape == (3, backbone.feature_channels)
    assert prediction.logits.shape == (3, 5)
    assert prediction.offsets.shape == (3, 3)


@pytest.mark.parametrize("name", BACKBONES)
def test_width_and_bn_momentum_reach_the_backbone(name):
    narrow, wide = (build_backbone(name, 3, width=width) for width in (0.25, 0.5))
    assert wide.feature_channels == 2 * narrow.feature_channels
    norms = [
        part.momentum
        for part in build_backbone(name, 3, width=0.25, bn_momentum=0.07).modules()
        if isinstance(part, nn.BatchNorm1d)
    ]
    if name == "submanifold":  # has no residual blocks, whose norms keep 0.1
        assert set(norms) == {0.07}
    else:
        assert set(norms) == {0.07, 0.1}


def test_a_semantic_network_has_no_offsets():
    network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 5, offsets=False)
    assert network(COORDS, torch.rand(3, 3)).offsets is None
    assert {name.split(".")[0] for name in network.state_dict()} == {"backbone", "semantic_head"}


def test_a_semantic_head_may_have_two_layers():
    backbone = build_backbone("res16unet14a", 3, width=0.25)
    network = SegmentationNetwork(backbone, 5, head_layers=2)
    head = {name.split(".")[0] for name in network.semantic_head.state_dict()}
    assert head == {"hidden", "final"}
    assert network(COORDS, torch.rand(3, 3)).logits.shape == (3, 5)


def test_parameters_have_the_names_of_stored_runs():
    network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 5)
    names = {name.split(".")[0] for name in network.state_dict()}
    assert names == {"backbone", "semantic_head", "offset_head"}


def test_an_unknown_backbone_is_refused():
    message = "backbone must be one of res16unet14a, .*, spvcnn, got resnet50"
    with pytest.raises(ValueError, match=message):
        build_backbone("resnet50", 3)


def test_frozen_norms_normalise_as_at_test():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    rows = torch.randn(8, 3)
    freeze_batch_norms(module, True)
    at_test = module.eval()(rows)
    module.train()
    freeze_batch_norms(module, True)
    assert torch.equal(module(rows), at_test)
    freeze_batch_norms(module, False)
    assert not torch.equal(module(rows), at_test)


def test_the_rest_of_the_package_needs_no_point_clouds():
    folder = Path(pcl_run.__file__).parent
    imports = [
        node.module or ""
        for file in folder.glob("*.py")
        if file.name != "opening.py"  # it opens data sets
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]
    libraries = ("pcl_data", "pcl_backbones", "pcl_pseudolabel", "pcl_methods.segmentation")
    assert "pcl_run.run" in imports
    assert not [name for name in imports if name.startswith(libraries)]
