"""Tests of pcl_methods.segmentation.weights."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pcl_backbones import save_weights
from pcl_data import SCANNET20
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.weights import load_initial_weights, weights_file

EXPECTED = {"backbone": "res16unet14a", "width": 0.25, "features": "colors"}


def backbone(seed: int = 0, width: float = 0.25) -> nn.Module:
    torch.manual_seed(seed)
    return build_backbone("res16unet14a", 3, width=width)


def network(seed: int = 0, n_classes: int = 20, **settings) -> SegmentationNetwork:
    return SegmentationNetwork(backbone(seed), n_classes, **settings)


def save_network(path, made, label_set=SCANNET20):
    card = Segmenter(made, label_set, voxel_size=0.05).card("res16unet14a", 0.25)
    save_weights(made, path, {"kind": "segmentation", **card})


def same(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_backbone_is_found_by_its_run_folder_or_by_its_name(tmp_path):
    saved = backbone()
    save_weights(saved, tmp_path / "backbone.safetensors", {**EXPECTED, "method": "csc"})
    for init in (tmp_path, tmp_path / "backbone.safetensors"):
        other = backbone(seed=1)
        report = load_initial_weights(other, init, expected=EXPECTED)
        assert same(other, saved)
        assert (report.card["method"], report.fresh, report.unused) == ("csc", (), ())
    assert weights_file(tmp_path).name == "backbone.safetensors"


def test_a_network_takes_a_backbone_and_keeps_its_fresh_heads(tmp_path):
    save_weights(backbone(), tmp_path / "backbone.safetensors", EXPECTED)
    made = network(seed=1)
    head = made.semantic_head.final.kernel.clone()
    report = load_initial_weights(made, tmp_path, expected=EXPECTED, label_set=SCANNET20)
    assert same(made.backbone, backbone())
    assert torch.equal(made.semantic_head.final.kernel, head)
    assert "fresh: semantic_head (2), offset_head (" in str(report)


def test_a_network_of_the_same_classes_is_taken_heads_and_all(tmp_path):
    save_network(tmp_path / "model.safetensors", network())
    made = network(seed=1)
    report = load_initial_weights(made, tmp_path, expected=EXPECTED, label_set=SCANNET20)
    assert same(made, network())
    assert str(report).endswith(f"{len(report.loaded)} of {len(report.loaded)} tensors")
    alone = network(seed=1, offsets=False)
    report = load_initial_weights(alone, tmp_path, label_set=SCANNET20)
    assert torch.equal(alone.semantic_head.final.kernel, network().semantic_head.final.kernel)
    assert "not used: offset_head (" in str(report)


def test_of_another_label_set_the_classes_that_both_have_are_taken(tmp_path):
    few = replace(
        SCANNET20,
        name="few",
        names=("chair", "lamp", "wall"),
        raw_ids=(5, 35, 1),
        colors=SCANNET20.colors[:3],
        is_stuff=(False, False, True),
        ignored_raw_ids=(0,),
        merged_raw_ids=(),
    )
    saved = network()
    save_network(tmp_path / "model.safetensors", saved)
    made = network(seed=1, n_classes=3)
    fresh = made.semantic_head.final.kernel.clone()
    report = load_initial_weights(made, tmp_path, label_set=few)
    assert report.classes == ("chair", "wall")
    old, new = saved.semantic_head.final.kernel, made.semantic_head.final.kernel
    chair, wall = (SCANNET20.names.index(name) for name in ("chair", "wall"))
    assert torch.equal(new[..., 0], old[..., chair])
    assert torch.equal(new[..., 2], old[..., wall])
    assert torch.equal(new[..., 1], fresh[..., 1])
    assert "the head for 2 classes that both have" in str(report)


def test_a_recorrector_of_as_many_other_classes_keeps_a_fresh_class_head(tmp_path):
    def both(seed):
        heads = nn.ModuleDict({"class_head": nn.Linear(2, 20), "score_head": nn.Linear(2, 1)})
        return nn.ModuleDict({"network": network(seed), "recorrector": heads})

    card = Segmenter(network(), SCANNET20, voxel_size=0.05).card("res16unet14a", 0.25)
    save_weights(saved := both(0), tmp_path / "model.safetensors", {"kind": "twist", **card})
    others = replace(SCANNET20, name="others", names=SCANNET20.names[::-1])
    for label_set, is_taken in ((SCANNET20, True), (others, False)):
        made = both(1)
        report = load_initial_weights(made, tmp_path, label_set=label_set)
        assert same(made["recorrector"]["class_head"], saved["recorrector"]["class_head"]) == (
            is_taken
        )
        assert same(made["recorrector"]["score_head"], saved["recorrector"]["score_head"])
        assert ("fresh: recorrector (2)" in str(report)) != is_taken


def test_parts_of_a_larger_module_are_found(tmp_path):
    both = nn.ModuleDict({"network": network(), "recorrector": nn.Linear(2, 3)})
    save_weights(both, tmp_path / "model.safetensors", {"kind": "twist"})
    made = network(seed=1)
    report = load_initial_weights(made, tmp_path)
    assert same(made, network())
    assert "not used: recorrector (2)" in str(report)
    made = nn.ModuleDict({"network": network(seed=1), "recorrector": nn.Linear(2, 3)})
    load_initial_weights(made, tmp_path)
    assert same(made, both)
    save_weights(network(), tmp_path / "model.safetensors", {"kind": "segmentation"})
    made = nn.ModuleDict({"network": network(seed=1), "recorrector": nn.Linear(2, 3)})
    assert "fresh: recorrector (2)" in str(load_initial_weights(made, tmp_path))
    assert same(made["network"], network())


def test_a_published_checkpoint_fills_the_backbone(tmp_path):
    path = tmp_path / "published.pth"
    published = build_backbone("res16unet14a", 3, width=0.25)
    torch.nn.init.zeros_(published.state_dict()["block1.0.conv1.kernel"])
    for name, kernel in published.state_dict().items():  # heaviest at the centre, as trained
        if name.startswith("block") and kernel.ndim == 3 and len(kernel) == 27:
            kernel[13] += 3
            kernel[[4, 10, 12, 14, 16, 22]] += 1
    torch.save({"state_dict": {f"module.{k}": v for k, v in published.state_dict().items()}}, path)
    made = network(seed=1)
    report = load_initial_weights(made, path, expected=EXPECTED)
    assert same(made.backbone, published)
    assert report.card == {"method": "published"}
    assert "fresh: semantic_head (2)" in str(report)


def test_weights_of_something_else_are_refused_in_one_line(tmp_path):
    save_weights(backbone(), tmp_path / "backbone.safetensors", EXPECTED)
    with pytest.raises(ValueError, match=r"init must be of width 0.5, got 0.25 in"):
        load_initial_weights(backbone(width=0.5), tmp_path, expected={"width": 0.5})
    with pytest.raises(
        ValueError, match=r"init must fit the backbone, got \d+ of \d+ tensors"
    ) as e:
        load_initial_weights(network(), _wide(tmp_path))
    assert len(str(e.value)) < 400
    with pytest.raises(ValueError, match="must be of a finished run or a file, got the folder"):
        load_initial_weights(network(), tmp_path / "..")
    with pytest.raises(ValueError, match=r"must be of a finished run or a file, got .*none"):
        load_initial_weights(network(), tmp_path / "none.safetensors")


def _wide(folder):
    path = folder / "wide.safetensors"
    save_weights(backbone(width=0.5), path, {"voxel_size": 0.1})
    return path
