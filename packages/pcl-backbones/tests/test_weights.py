"""Tests of pcl_backbones.weights."""

import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pcl_backbones import Res16UNet14A, load_weights, read_card, save_weights

CARD = {"network": "14A", "voxel_size": 0.02, "classes": ["chair", "stuhl ü"]}


def small(seed):
    torch.manual_seed(seed)
    return Res16UNet14A(3, 2, width=0.125)


def test_weights_and_card_come_back(tmp_path):
    source, target = small(0), small(1)
    save_weights(source, tmp_path / "a.safetensors", CARD)
    assert load_weights(target, str(tmp_path / "a.safetensors")) == CARD
    assert read_card(tmp_path / "a.safetensors") == CARD
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)


def test_a_file_has_the_mode_of_any_new_file(tmp_path):
    save_weights(nn.Linear(1, 1), tmp_path / "a.safetensors")
    (tmp_path / "b").touch()
    modes = [path.stat().st_mode for path in tmp_path.iterdir()]
    assert modes[0] == modes[1]  # readable by others where the umask allows it


def test_tied_weights_are_stored(tmp_path):
    model = nn.ModuleDict({"a": nn.Linear(2, 2)})
    model["b"] = model["a"]
    save_weights(model, tmp_path / "a.safetensors")
    assert load_weights(model, tmp_path / "a.safetensors") == {}


def test_a_model_that_does_not_fit_is_named_once_and_left_alone(tmp_path):
    save_file({"weight": torch.zeros(2, 3), "extra": torch.zeros(1)}, tmp_path / "a.safetensors")
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    message = r"missing: bias; unexpected: extra; mismatched: weight \(2, 3\) for \(2, 4\)"
    with pytest.raises(ValueError, match=message):
        load_weights(model, tmp_path / "a.safetensors")
    assert torch.equal(model.weight, before)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="path must name a safetensors file"):
        load_weights(nn.Linear(1, 1), tmp_path / "none.safetensors")
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "a.pt")
    with pytest.raises(ValueError, match="path must name a safetensors file"):
        load_weights(nn.Linear(1, 1), tmp_path / "a.pt")


def test_a_card_must_be_json(tmp_path):
    for card in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(ValueError, match="card must hold JSON values"):
            save_weights(nn.Linear(1, 1), tmp_path / "a.safetensors", card)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_weights(nn.Linear(1, 1), path, {"version": 1})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(nn.Linear(1, 1), path, {"version": 2})
    assert read_card(path) == {"version": 1}
    assert list(tmp_path.iterdir()) == [path]
