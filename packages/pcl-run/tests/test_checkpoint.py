"""Tests of pcl_run.checkpoint."""

import errno
import io
import json
import os
import random
import zlib

import pytest
import torch
from torch import nn

from pcl_run import files
from pcl_run.checkpoint import (
    NotFiniteError,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)


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
    meta = load_checkpoint(newest_checkpoint(tmp_path), other, other_optimizers)
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
    assert names(tmp_path) == kept
    assert newest_checkpoint(tmp_path, "s").name == "s_step_000004"
    assert newest_checkpoint(tmp_path).name == "t_step_000003"
    assert newest_checkpoint(tmp_path, "u") is None


def test_the_same_step_can_be_saved_again(tmp_path):
    save(tmp_path, 1)
    path = save(tmp_path, 1, seed=1)
    modules, _ = parts()
    load_checkpoint(path, modules)
    assert torch.equal(modules["a"].weight, parts(seed=1)[0]["a"].weight)
    assert names(tmp_path) == ["s_step_000001"]


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
    assert names(tmp_path) == ["s_step_000001"]


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


def rewrite(path, name, content):
    """A file of other content that was written so, as far as `meta.json` can tell."""
    meta = json.loads((path / "meta.json").read_text())
    meta["crc32"][name] = zlib.crc32(content)
    (path / name).write_bytes(content)
    (path / "meta.json").write_text(json.dumps(meta))


def pickled(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def attempt(path):
    """Load; an error must be one line that names the checkpoint, and change nothing."""
    modules, optimizers = parts(seed=1)
    before, message = (modules["a"].weight.clone(), torch.get_rng_state()), None
    try:
        load_checkpoint(path, modules, optimizers)
        newest_checkpoint(path.parent.parent)
    except ValueError as error:
        message = str(error)
    if message is not None:
        assert str(path) in message
        assert "\n" not in message
        assert torch.equal(modules["a"].weight, before[0])
        assert torch.equal(torch.get_rng_state(), before[1])
    return message


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt"])
def test_any_change_of_a_byte_is_found(tmp_path, file):
    path, chosen = save(tmp_path, 1), random.Random(0)
    content = (path / file).read_bytes()
    for _ in range(100):
        changed = bytearray(content)
        changed[chosen.randrange(len(changed))] ^= chosen.randrange(1, 256)
        (path / file).write_bytes(changed)
        assert f"{file}: is damaged" in attempt(path)


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt", "meta.json"])
def test_mutated_files_are_read_or_one_error(tmp_path, file):
    path, chosen = save(tmp_path, 1), random.Random(0)
    content = (path / file).read_bytes()
    meta = json.loads((path / "meta.json").read_text())
    meta.pop("crc32")  # what is parsed is tried, not the sum
    (path / "meta.json").write_text(json.dumps(meta))
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(chosen.randint(1, 8)):
            at = chosen.randrange(min(len(changed), 600))
            changed[at : at + chosen.randint(0, 2)] = chosen.randbytes(chosen.randint(0, 3))
        (path / file).write_bytes(changed)
        attempt(path)


@pytest.mark.parametrize("key", ["stage", "stage_step", "n_steps", "final", "number", "crc32"])
@pytest.mark.parametrize("value", [[], "x", {"a": 1}, 0.5, True])
def test_a_meta_of_other_types_is_one_error(tmp_path, key, value):
    path = save(tmp_path, 1)
    meta = json.loads((path / "meta.json").read_text())
    meta[key] = value
    (path / "meta.json").write_text(json.dumps(meta))
    right = (key, type(value)) in {("stage", str), ("final", bool), ("crc32", dict)}
    assert right or f"meta.json: is damaged: has no {key}" in attempt(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: 3,
        lambda state: [state],
        lambda state: {},
        lambda state: state | {"optimizers": 3},
        lambda state: state | {"optimizers": {"a": 3}},
        lambda state: state | {"optimizers": {"a": {}}},
        lambda state: state | {"optimizers": {"a": {"state": {}, "param_groups": [3]}}},
        lambda state: state | {"optimizers": {"a": {"state": [], "param_groups": []}}},
        lambda state: state["optimizers"]["a"]["param_groups"][0].pop("lr") and state,
        lambda state: state["optimizers"]["a"]["param_groups"][0].update(lr="x") or state,
        lambda state: state["optimizers"]["a"]["state"].update({9: {}}) or state,
        lambda state: state["optimizers"]["a"]["state"].update({"x": {}}) or state,
        lambda state: state["optimizers"]["a"]["state"].update({0: 3}) or state,
        lambda state: state["optimizers"]["a"]["state"][0].pop("exp_avg") is None or state,
        lambda state: state["optimizers"]["a"]["state"][0].update(exp_avg=torch.ones(7)) or state,
        lambda state: state | {"rng": torch.zeros(3)},
        lambda state: state | {"rng": state["rng"][:-1]},
        lambda state: state | {"rng": None},
        lambda state: state | {"cuda_rng": 3},
        lambda state: state | {"cuda_rng": [3]},
    ],
)
def test_a_state_of_another_structure_is_one_error(tmp_path, change):
    path = save(tmp_path, 1)
    state = torch.load(path / "state.pt", weights_only=True)
    rewrite(path, "state.pt", pickled(change(state)))
    assert attempt(path) is not None


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    path = save(tmp_path, 1)
    rewrite(path, "state.pt", pickled({"optimizers": Evil()}))
    assert "state.pt: is damaged" in attempt(path)
    assert not (tmp_path / "evil").exists()


def spoil(modules, optimizers, where):
    if where == "weight":
        modules["a"].weight.data[0, 1] = float("nan")
    if where == "buffer":
        modules["b"].running_mean[0] = float("inf")
    if where == "optimizer":
        optimizers["a"].state_dict()["state"][0]["exp_avg"][0] = float("inf")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("weight", "weight a.weight has nan"),
        ("buffer", "weight b.running_mean has inf"),
        ("optimizer", "exp_avg of parameter 0 of optimizer a has inf"),
    ],
)
def test_numbers_that_are_not_finite_are_not_kept(tmp_path, where, message):
    old = save(tmp_path, 1)
    modules, optimizers = parts()
    spoil(modules, optimizers, where)
    with pytest.raises(NotFiniteError, match=f"got s step 2: {message}"):
        save_checkpoint(tmp_path, stage="s", stage_step=2, modules=modules, optimizers=optimizers)
    assert names(tmp_path) == [old.name]


def test_a_checkpoint_that_is_not_finite_is_not_resumed_from(tmp_path, monkeypatch):
    modules, optimizers = parts()
    spoil(modules, optimizers, "weight")
    monkeypatch.setattr("pcl_run.checkpoint._check_finite", lambda *arguments: None)
    path = save_checkpoint(
        tmp_path, stage="s", stage_step=1, modules=modules, optimizers=optimizers
    )
    assert "weight a.weight has nan, which no training goes on from; delete" in attempt(path)


def test_what_cannot_be_deleted_or_synced_does_not_stop_a_run(tmp_path, monkeypatch):
    def stale(*arguments, **options):
        raise OSError(errno.ESTALE, "Stale file handle")

    for step in (1, 2, 3):
        save(tmp_path, step)
        monkeypatch.setattr("pcl_run.files.shutil.rmtree", lambda *a, **k: None)
        monkeypatch.setattr("pcl_run.files.os.open", stale)
    assert newest_checkpoint(tmp_path).name == "s_step_000003"
    assert load_checkpoint(newest_checkpoint(tmp_path), *parts())["stage_step"] == 3


def test_no_link_is_needed(tmp_path, monkeypatch):
    for call in ("symlink", "link"):
        monkeypatch.delattr(os, call)
    save(tmp_path, 1)
    assert newest_checkpoint(tmp_path).name == "s_step_000001"
