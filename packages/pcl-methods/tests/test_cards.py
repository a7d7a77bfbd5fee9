"""Tests of pcl_methods.cards: any card of a weights file gives a network or one error."""

import json

import pytest
import torch
from torch import nn

from pcl_backbones import save_weights
from pcl_data import SCANNET20
from pcl_methods.cards import trained_card
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.segmenter import Segmenter, load_segmenter
from pcl_methods.segmentation.weights import load_initial_weights


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 20)
    return Segmenter(network, SCANNET20, voxel_size=0.1)


ODD = (None, 3, -1.0, "x", [], [[1]], {}, {"a": 1}, True, 1e300, "x" * 1000)
PLACES = (
    ("network",),
    ("label_set",),
    ("voxel_size",),
    ("cluster_radius",),
    ("min_points",),
    ("network", "backbone"),
    ("network", "width"),
    ("network", "features"),
    ("network", "head_layers"),
    ("network", "offsets"),
    ("label_set", "names"),
    ("label_set", "colors"),
    ("label_set", "raw_ids"),
    ("label_set", "is_stuff"),
    ("label_set", "merged_raw_ids"),
)


def changed(card: dict, place: tuple[str, ...], value: object) -> dict:
    copy = json.loads(json.dumps(card))
    group = copy
    for key in place[:-1]:
        group = group[key]
    if value is KeyError:
        del group[place[-1]]
    else:
        group[place[-1]] = value
    return copy


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_an_odd_card_is_one_error_that_names_the_file(segmenter, tmp_path, place, monkeypatch):
    path = tmp_path / "odd.safetensors"
    save_weights(nn.Linear(1, 1), path)
    card = segmenter.card("res16unet14a", 0.25)
    for value in (KeyError, *ODD):
        odd = changed(card, place, value)
        for module in ("cards", "segmentation.weights"):
            monkeypatch.setattr(f"pcl_methods.{module}.read_card", lambda path, odd=odd: odd)
        with pytest.raises(ValueError, match=r"odd.safetensors") as caught:
            load_segmenter(path)
        assert "\n" not in str(caught.value)
        with pytest.raises(ValueError, match=r"odd.safetensors"):
            load_initial_weights(segmenter.network, path, label_set=SCANNET20)


def test_a_whole_card_gives_the_network(segmenter, tmp_path):
    path = tmp_path / "model.safetensors"
    card = segmenter.card("res16unet14a", 0.25)
    card["voxel_size"] = 1  # a whole number is a number
    save_weights(segmenter.network, path, card)
    found = load_segmenter(path)
    assert (found.label_set, found.voxel_size) == (SCANNET20, 1)
    ours, theirs = segmenter.network.state_dict(), found.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_of_another_program_is_told_apart(tmp_path):
    path = tmp_path / "csc.pth"
    torch.save({}, path)
    with pytest.raises(ValueError, match=r"must be a finished run, .*csc.pth: a checkpoint of an"):
        trained_card(path)
