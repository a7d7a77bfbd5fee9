"""Tests of pcl_methods.detection.box_finder."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pcl_backbones import save_weights
from pcl_data import SCANNET20
from pcl_methods.detection.box_finder import (
    BoxFinder,
    DetectorSizes,
    build_detector,
    load_box_finder,
    start_detector,
)
from pcl_methods.detection.samples import BoxSampling
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.testing import make_room

ROOM = make_room("room", 0)
MEANS = [[0.5, 0.5, 0.5]] * len(SCANNET20.things)
SMALL = {"width": 0.25, "strides": [4, 8], "n_seeds": 64, "n_proposals": 16, "mean_sizes": MEANS}
KINDS = [("sparse", "res16unet14a"), ("votenet", "res16unet14a"), ("votenet", "pointnet2")]


def sizes_of(name, backbone):
    return DetectorSizes(name=name, backbone=backbone, **SMALL)


def make_finder(name, backbone, seed=0):
    torch.manual_seed(seed)
    sampling = BoxSampling(0.08, n_points=800 if backbone == "pointnet2" else None)
    detector = build_detector(sizes_of(name, backbone), SCANNET20.things, sampling)
    return BoxFinder(detector, SCANNET20, sampling)


@pytest.mark.parametrize(("name", "backbone"), KINDS)
def test_a_detector_is_found_again_by_its_card(name, backbone, tmp_path):
    finder, path = make_finder(name, backbone), tmp_path / "model.safetensors"
    save_weights(finder.detector, path, card=finder.card(sizes_of(name, backbone)))
    found, expected = load_box_finder(tmp_path)(ROOM), finder(ROOM)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert set(expected.boxes[:, 7]) <= set(SCANNET20.things)


@pytest.mark.parametrize("name", ["sparse", "votenet"])
def test_a_detector_starts_from_the_backbone_of_any_run(name, tmp_path):
    torch.manual_seed(5)
    network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 20)
    card = Segmenter(network, SCANNET20, voxel_size=0.08).card("res16unet14a", 0.25)
    save_weights(network, tmp_path / "model.safetensors", card=card)
    detector = make_finder(name, "res16unet14a").detector
    report = start_detector(detector, tmp_path, backbone="res16unet14a", width=0.25)
    assert not report.fresh
    own = detector.detector.backbone if name == "sparse" else detector.network.backbone_net.net
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(own.state_dict()[key], value)
    with pytest.raises(ValueError, match=r"init must be of width 0\.5, got 0\.25"):
        start_detector(detector, tmp_path, width=0.5)


def test_points_have_no_start_yet(tmp_path):
    with pytest.raises(ValueError, match="init must be none for pointnet2"):
        start_detector(make_finder("votenet", "pointnet2").detector, tmp_path)


def test_a_sparse_detector_needs_a_u_net():
    with pytest.raises(ValueError, match=r"backbone of the detector sparse must .* got pointnet2"):
        make_finder("sparse", "pointnet2")


def test_weights_of_another_kind_are_refused(tmp_path):
    save_weights(torch.nn.Linear(1, 1), tmp_path / "model.safetensors", card={"kind": "other"})
    with pytest.raises(ValueError, match="model must be a detector, got other in"):
        load_box_finder(tmp_path)


def test_a_scan_without_colors_is_refused():
    with pytest.raises(ValueError, match="scene room must have colours"):
        make_finder("sparse", "res16unet14a").check(replace(ROOM, colors=None))
