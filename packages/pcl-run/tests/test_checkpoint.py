"""Tests of pcl_run.checkpoint."""

import errno
import os

import pytest
import torch
from torch import nn

from pcl_run import files
from pcl_run.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint


def parts(width=3, seed=0):
    torch.manual_seed(seed)
    modules = nn.ModuleDict({"a": nn.Linear(2, width), "b": nn.BatchNorm1d(width)})
    optimizers = {"a": torch.optim.Adam(modules["a"].parameters())}
    modules["b"](modules["a"](torch.randn(4, 2))).square().sum().backward()
    optimizers["a"].step()
    return modules, optimizers


def save(folder, step, stage="s", n_steps=None, width=3, seed=0):
    modules, optimizers = parts(width, seed)
    return save_checkpoint(
        folder,
        stage=stage,
        stage_step=step,
        modules=modules,
        optimizers=optimizers,
        n_steps=n_steps,
    )


def names(folder):
    return sorted(os.listdir(folder / "checkpoints"))


def test_round_trip_is_exact_and_restores_the_generator(tmp_path):
    path = save(tmp_path, 5)
    expected = torch.rand(3)
    (modules, optimizers), (other, other_optimizers) = parts(), parts(seed=1)
    meta = load_checkpoint(tmp_path / "checkpoints/last", other, other_optimizers)
    assert torch.equal(torch.rand(3), expected)
    assert (meta["stage"], meta["stage_step"], path.name) == ("s", 5, "s_step_000005")
    for key, value in modules.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    states = (
        o.state_dict()["state"][0]["exp_avg"] for o in (optimizers["a"], other_optimizers["a"])
    )
    assert torch.equal(*states)


def test_weights_alone_leave_the_generator(tmp_path):
    path = save(tmp_path, 5)
    modules, _ = parts(seed=1)
    before = torch.get_rng_state()
    load_checkpoint(path, {"a": modules["a"]})
    assert torch.equal(torch.get_rng_state(), before)


def test_the_two_newest_and_finals_are_kept(tmp_path):
    for step in (1, 2, 3, 4):
        save(tmp_path, step, n_steps=4)
    for step in (1, 2, 3):
        save(tmp_path, step, stage="t")
    kept = ["s_step_000004", "t_step_000002", "t_step_000003"]
    assert names(tmp_path) == ["last", *kept]
    assert os.readlink(tmp_path / "checkpoints/last") == "t_step_000003"
    assert newest_checkpoint(tmp_path, "s").name == "s_step_000004"
    assert newest_checkpoint(tmp_path).name == "t_step_000003"
    assert newest_checkpoint(tmp_path, "u") is None


def test_the_same_step_can_be_saved_again(tmp_path):
    save(tmp_path, 1)
    path = save(tmp_path, 1, seed=1)
    modules, _ = parts()
    load_checkpoint(path, modules)
    assert torch.equal(modules["a"].weight, parts(seed=1)[0]["a"].weight)
    assert names(tmp_path) == ["last", "s_step_000001"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_full_disk_leaves_the_old_checkpoint_only(tmp_path, monkeypatch, failing):
    save(tmp_path, 1)
    calls, sync = [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2 * failing - 1:  # each file is synced, then its folder
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    assert names(tmp_path) == ["last", "s_step_000001"]


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt", "meta.json"])
@pytest.mark.parametrize("how", ["truncated", "missing", "empty"])
def test_damage_is_one_clear_error(tmp_path, file, how):
    path = save(tmp_path, 1)
    content = (path / file).read_bytes()
    (path / file).unlink()
    if how != "missing":
        (path / file).write_bytes(content[: len(content) // 2] if how == "truncated" else b"")
    modules, optimizers = parts(seed=1)
    before = modules["a"].weight.clone()
    with pytest.raises(ValueError, match=f"{path}.*{file}") as caught:
        load_checkpoint(path, modules, optimizers)
    assert "\n" not in str(caught.value)
    assert torch.equal(modules["a"].weight, before)


def test_foreign_and_unfitting_checkpoints(tmp_path):
    path = save(tmp_path, 1)
    with pytest.raises(ValueError, match=r"a.bias must be \(4,\) torch.float32, got \(3,\)"):
        load_checkpoint(path, parts(width=4)[0])
    with pytest.raises(ValueError, match=r"c.weight is missing"):
        load_checkpoint(path, {"c": nn.Linear(2, 3, bias=False)})
    with pytest.raises(ValueError, match=r"a.bias is not in this model"):
        load_checkpoint(path, {"a": nn.Linear(2, 3, bias=False)})
    with pytest.raises(ValueError, match="holds the optimizers"):
        load_checkpoint(path, {}, {"z": torch.optim.SGD([torch.zeros(1)])})
    with pytest.raises(ValueError, match="optimizer a does not fit"):
        load_checkpoint(path, {}, {"a": torch.optim.SGD([torch.zeros(1)])})
    with pytest.raises(ValueError, match="stage must be letters"):
        save(tmp_path, 1, stage="a/b")
    (path / "meta.json").write_text("{}")
    with pytest.raises(ValueError, match="is no checkpoint of format"):
        load_checkpoint(path, {})
