"""Tests of pcl_methods.segmentation.segmenter."""

import numpy as np
import pytest
import torch

from pcl_backbones import save_weights
from pcl_data import SCANNET20, SEMANTICKITTI19
from pcl_methods.segmentation.inference import Instances
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.segmenter import Segmenter, load_segmenter


def segmenter(offsets: bool = True) -> Segmenter:
    torch.manual_seed(0)
    backbone = build_backbone("res16unet14a", 3, width=0.25)
    network = SegmentationNetwork(backbone, 20, offsets=offsets, head_layers=2)
    return Segmenter(network, SCANNET20, voxel_size=0.1, min_points=5)


@pytest.mark.parametrize("offsets", [True, False])
def test_a_saved_segmenter_says_the_same(tmp_path, room, offsets):
    one = segmenter(offsets)
    card = one.card("res16unet14a", 0.25, head_layers=2)
    save_weights(one.network, tmp_path / "model.safetensors", {"kind": "segmentation", **card})
    other = load_segmenter(tmp_path)
    assert (other.label_set, other.voxel_size, other.min_points) == (SCANNET20, 0.1, 5)
    found, again = one(room), other(room)
    np.testing.assert_array_equal(found.labels, again.labels)
    assert isinstance(again, Instances) == offsets
    if isinstance(found, Instances):
        np.testing.assert_array_equal(found.instances, again.instances)
        assert len(found.scores) > 0


def test_stuff_has_no_instances():
    assert segmenter().stuff == (0, 1)
    kitti = Segmenter(segmenter().network, SEMANTICKITTI19, voxel_size=0.1)
    assert len(kitti.stuff) == 11


def test_weights_that_label_no_points_are_refused(tmp_path):
    save_weights(segmenter().network.backbone, tmp_path / "a.safetensors", {"kind": "backbone"})
    with pytest.raises(ValueError, match="must be a network that labels points, got backbone in"):
        load_segmenter(tmp_path / "a.safetensors")
    one = segmenter()
    card = one.card("res16unet14a", 0.25, head_layers=1)  # it has two
    save_weights(one.network, tmp_path / "b.safetensors", {"kind": "segmentation", **card})
    with pytest.raises(ValueError, match=r"model must be whole, got .* not used: semantic_head"):
        load_segmenter(tmp_path / "b.safetensors")
