"""Tests of pcl_clip3d.weight_files."""

import math
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from pcl_clip3d.weight_files import check_finite, fill_weights, read_tensors

TENSORS = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}


def write(path, what) -> Path:
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(what, path)
    else:
        torch.save(what, path)
    return path


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.safetensors", TENSORS),
        ("a.pt", TENSORS),
        ("b.pt", {"state_dict": TENSORS, "epoch": 3}),
        ("c.pt", {"state_dict": {f"module.{name}": value for name, value in TENSORS.items()}}),
    ],
)
def test_tensors_of_each_form_fill_a_model(tmp_path, name, what):
    path = write(tmp_path / name, what)
    model = nn.Linear(2, 1)
    fill_weights(model, read_tensors(path), path)
    assert_close(dict(model.state_dict()), TENSORS)


class Ran:
    """What runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_runs_code_is_refused_and_does_not_run(tmp_path):
    mark = tmp_path / "ran"
    write(tmp_path / "bad.pt", {"weight": Ran(mark)})
    with pytest.raises(ValueError, match=r"bad\.pt must be a file of weights"):
        read_tensors(tmp_path / "bad.pt")
    assert not mark.exists()
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Ran(mark), protocol=2))
    with pytest.raises(ValueError, match=r"raw\.pt must be a file of weights"):
        read_tensors(tmp_path / "raw.pt")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_what_is_no_file_of_weights_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(ValueError, match=rf"{name} must be a file of weights .*got"):
        read_tensors(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{name} must be a file of weights .*got"):
        read_tensors(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        read_tensors(tmp_path / name)


def test_what_holds_other_things_is_named(tmp_path):
    path = write(tmp_path / "a.pt", {"epoch": 3})
    with pytest.raises(ValueError, match=r"a\.pt must be .*no tensor at 'epoch'"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": TENSORS["weight"]}, "got no bias"),
        ({**TENSORS, "more": torch.ones(1)}, "got also more"),
        (
            {**TENSORS, "weight": torch.ones(4, 2)},
            r"got weight of \(4, 2\) in the place of \(1, 2\)",
        ),
    ],
)
def test_weights_of_another_architecture_are_refused_with_the_first_mismatch(tensors, message):
    model = nn.Linear(2, 1)
    before = model.weight.clone()
    rule = r"some\.pt must hold the weights of this architecture, "
    with pytest.raises(ValueError, match=rule + message):
        fill_weights(model, tensors, Path("some.pt"))
    assert_close(model.weight, before)


def test_weights_that_are_not_finite_are_named():
    model = nn.Linear(2, 1)
    check_finite(model)
    for bad in (math.nan, math.inf):
        model.bias.data.fill_(bad)
        with pytest.raises(ValueError, match="finite weights, got NaN or infinity in bias"):
            check_finite(model)
