"""Tests of pcl_methods.segmentation.weights."""

import pytest
import torch

from pcl_backbones import save_weights
from pcl_methods.segmentation.network import build_backbone
from pcl_methods.segmentation.weights import WEIGHTS, load_backbone


@pytest.fixture
def run_folder(tmp_path):
    backbone = build_backbone("res16unet14a", 3, width=0.25)
    save_weights(backbone, tmp_path / WEIGHTS, {"voxel_size": 0.05, "method": "csc"})
    return tmp_path, backbone


def test_weights_are_found_by_their_run_folder_or_by_their_name(run_folder):
    folder, backbone = run_folder
    for init in (folder, folder / WEIGHTS):
        other = build_backbone("res16unet14a", 3, width=0.25)
        card = load_backbone(other, init, {"voxel_size": 0.05, "features": "colors"})
        assert card["method"] == "csc"
        pairs = zip(other.parameters(), backbone.parameters(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs)


def test_weights_of_something_else_are_refused(run_folder):
    folder, _ = run_folder
    same = build_backbone("res16unet14a", 3, width=0.25)
    with pytest.raises(ValueError, match=r"init must be of voxel_size 0.02, got 0.05 in"):
        load_backbone(same, folder, {"voxel_size": 0.02})
    with pytest.raises(ValueError, match="must fit the model"):
        load_backbone(build_backbone("res16unet14a", 3, width=0.5), folder, {})
