"""Tests of pcl_backbones.weights."""

import errno
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


def test_scores_that_are_no_numbers_are_null_in_the_card(tmp_path):
    scores = {"ap": float("nan"), "rows": [1.5, float("inf"), -float("inf")]}
    save_weights(nn.Linear(1, 1), tmp_path / "a.safetensors", {"scores": scores})
    expected = {"scores": {"ap": None, "rows": [1.5, None, None]}}
    assert read_card(tmp_path / "a.safetensors") == expected
    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors", {"card": '{"ap": NaN}'})
    assert read_card(tmp_path / "b.safetensors") == {"ap": None}


def test_a_card_must_be_json(tmp_path):
    endless: dict = {}
    endless["a"] = endless
    for card in ({"a": object()}, endless, {"a": nested(100_000)}):
        with pytest.raises(ValueError, match="card must hold JSON values"):
            save_weights(nn.Linear(1, 1), tmp_path / "a.safetensors", card)
    assert list(tmp_path.iterdir()) == []


def nested(depth):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "card", ["[1]", "7", "null", '"a"', "{", "[" * 100_000, '{"a":' * 100_000, "9" * 5000]
)
def test_a_card_that_is_no_object_is_refused(tmp_path, card):
    path = tmp_path / "a.safetensors"
    save_file(nn.Linear(1, 1).state_dict(), path, {"card": card})
    for read in (read_card, lambda path: load_weights(nn.Linear(1, 1), path)):
        with pytest.raises(
            ValueError, match=r"path must name a safetensors file, got .*a\.safe"
        ) as e:
            read(path)
        assert len(str(e.value)) < 1000


def test_weights_of_any_layout_are_stored(tmp_path):
    model = nn.Linear(2, 3)
    model.weight = nn.Parameter(torch.arange(6.0).view(2, 3).T)
    save_weights(model, tmp_path / "a.safetensors")
    other = nn.Linear(2, 3)
    load_weights(other, tmp_path / "a.safetensors")
    assert torch.equal(other.weight, model.weight)


def test_a_file_that_may_not_be_read_is_not_called_missing(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_weights(nn.Linear(1, 1), path)

    def refuse(self, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read everything
    with pytest.raises(ValueError, match=r"Permission denied: '.*a\.safetensors"):
        read_card(path)


def test_mutated_files_are_weights_or_refused(tmp_path, mutated):
    model, path = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), tmp_path / "a.safetensors"
    save_weights(model, path, {"kind": "a", "classes": ["b", "c"], "scores": {"ap": 0.5}})
    refusals = []
    for content in mutated(path.read_bytes(), 400):
        path.write_bytes(content)
        try:
            assert isinstance(load_weights(model, path), dict)
        except ValueError as error:
            refusals.append(str(error))
    assert refusals
    assert all(str(path) in refusal for refusal in refusals)


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
