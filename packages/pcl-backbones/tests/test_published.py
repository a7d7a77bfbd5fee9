"""Tests of pcl_backbones.published and spunet."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from pcl_backbones import Res16UNet14A, SparseTensor, SpUNet, load_published_checkpoint
from pcl_backbones.published import hybrid_offsets
from pcl_backbones.sparse import Conv3d, ConvTranspose3d

GOLDEN = Path(__file__).parent / "golden" / "spconv_layers.npz"
# As MinkowskiEngine 0.4.3 lists them for its hybrid region of three axes.
HYBRID = """000 -00 +00 0-0 0+0 --0 -+0 +-0 ++0 00- 00+ -0- -0+ +0- +0+ 0-- 0-+ 0+- 0++
--- --+ -+- -++ +-- +-+ ++- +++"""
SIGNS = {"-": -1, "0": 0, "+": 1}
OFFSETS = [tuple(SIGNS[sign] for sign in slot) for slot in HYBRID.split()]


def network(seed=0):
    torch.manual_seed(seed)
    return Res16UNet14A(3, 4, width=0.125)


def block_kernels(state):
    return [n for n in state if n.startswith("block") and n.endswith(("1.kernel", "2.kernel"))]


def trained(order):
    """A state whose block kernels fall off with the distance from the centre, in that order."""
    state = network().state_dict()
    cube = [(x, y, z) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    for name in block_kernels(state):
        distance = torch.tensor(OFFSETS if order == "hybrid" else cube).square().sum(1)
        state[name] = state[name] * torch.exp(-0.5 * distance)[:, None, None]
    return state


def save(state, path, **extra):
    torch.save({"curr_iter": 7, "state_dict": state, **extra}, path)
    return path


def test_hybrid_offsets_are_those_of_minkowski_engine_0_4():
    assert hybrid_offsets() == OFFSETS


@pytest.mark.parametrize("slot", range(27))
def test_an_impulse_moves_as_its_hybrid_slot_says(tmp_path, slot):
    model = network()
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    state["block1.0.conv1.kernel"][slot, 0, 0] = 1
    state["conv0p1s1.kernel"][slot, 0, 0] = 1  # the stem is in cube order everywhere
    path = save(state, tmp_path / "csc.pth")
    load_published_checkpoint(model, path, kernel_order="hybrid")
    around = torch.cartesian_prod(*[torch.arange(-1, 2)] * 3)
    coords = torch.cat([torch.zeros(27, 1), around], dim=1).int()
    impulse = (around == 0).all(dim=1, keepdim=True).float()

    def landing(conv):
        channels = conv.kernel.shape[1]
        x = SparseTensor(coords, impulse.expand(27, channels) * torch.eye(channels)[0])
        return tuple(around[conv(x).features[:, 0].argmax()].tolist())

    # out[u] = in[u + offset] W: what stood at the centre lands at minus the offset
    assert landing(model.block1[0].conv1) == tuple(-step for step in OFFSETS[slot])
    cube = (slot % 3 - 1, slot // 3 % 3 - 1, slot // 9 - 1)
    assert landing(model.conv0p1s1) == tuple(-step for step in cube)


@pytest.mark.parametrize("order", ["cube", "hybrid"])
def test_the_order_of_slots_is_told_from_trained_kernels(tmp_path, order):
    state = trained(order)
    given_, found = network(1), network(2)
    path = save(state, tmp_path / "a.pth")
    report = load_published_checkpoint(found, path)
    assert report.kernel_order == order
    load_published_checkpoint(given_, path, kernel_order=order)
    name = "block3.0.conv2.kernel"
    assert torch.equal(found.state_dict()[name], given_.state_dict()[name])
    assert torch.equal(found.state_dict()[name], state[name]) == (order == "cube")


def test_untrained_kernels_do_not_tell(tmp_path):
    path = save(network().state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="kernel_order must be given"):
        load_published_checkpoint(network(1), path)


@given(prefix=st.sampled_from(["", "module.", "model.net3d.", "encoder.backbone."]))
def test_prefixes_are_stripped_and_leftovers_named(tmp_path_factory, prefix):
    state = {prefix + name: value for name, value in trained("cube").items()}
    state[prefix + "final.kernel"] = torch.zeros(12, 99)
    del state[prefix + "final.bias"]
    state["head.weight"] = torch.zeros(3)
    path = save(state, tmp_path_factory.mktemp("a") / "a.pth", optimizer={"lr": 0.1})
    model = network(1)
    report = load_published_checkpoint(model, path)
    assert report.missing == ("final.bias",)
    assert report.mismatched == ("final.kernel",)
    assert report.unused == ("head.weight",)
    assert len(report.loaded) == len(model.state_dict()) - 2
    stored = state[prefix + "block8.0.conv1.kernel"]
    assert torch.equal(model.state_dict()["block8.0.conv1.kernel"], stored)


def test_safetensors_are_read(tmp_path):
    save_file(trained("cube"), tmp_path / "a.safetensors")
    report = load_published_checkpoint(network(1), tmp_path / "a.safetensors")
    assert not report.missing


def test_a_file_that_fits_too_little_is_refused_and_changes_nothing(tmp_path):
    model = network(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path = save({"conv0p1s1.kernel": torch.zeros(27, 3, 4)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="must fit at least 50% of the model, got 0%"):
        load_published_checkpoint(model, path)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert load_published_checkpoint(model, path, min_share=0.0).loaded == ("conv0p1s1.kernel",)


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_code_in_a_file_is_never_run(tmp_path):
    target = tmp_path / "made"
    path = save(trained("cube"), tmp_path / "a.pth", config=Hostile(target))
    with pytest.raises(ValueError, match="must hold plain tensors only"):
        load_published_checkpoint(network(), path)
    assert not target.exists()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"no weights")
    torch.save([1, 2], tmp_path / "b.pth")
    for path, message in (
        (tmp_path / "none.pth", "path must name a weights file"),
        (tmp_path / "none.safetensors", "path must name a safetensors file"),
        (tmp_path / "b.pth", "must hold a state_dict, got list"),
    ):
        with pytest.raises(ValueError, match=message):
            load_published_checkpoint(network(), path)
    with pytest.raises(ValueError, match=r"a\.pth"):
        load_published_checkpoint(network(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"min_share must lie in \[0, 1\], got 2.0"):
        load_published_checkpoint(network(), tmp_path / "b.pth", min_share=2.0)


LAYERS = {
    "submanifold3": Conv3d(4, 5, 3),
    "submanifold5": Conv3d(4, 3, 5),
    "submanifold1": Conv3d(4, 5, 1),
    "strided": Conv3d(4, 6, 2, stride=2),
    "inverse": ConvTranspose3d(6, 3, 2, stride=2),
}


def test_layers_of_spconv_compute_the_same(tmp_path):
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN).items()}
    model = nn.ModuleDict(LAYERS)
    torch.save({f"{name}.weight": golden[f"{name}_weight"] for name in LAYERS}, tmp_path / "a.pth")
    report = load_published_checkpoint(model, tmp_path / "a.pth")
    assert (report.missing, report.unused, report.kernel_order) == ((), (), None)
    x = SparseTensor(golden["coords"], golden["features"])
    for name, layer in LAYERS.items():
        y = layer(LAYERS["strided"](x) if name == "inverse" else x)
        rows = {tuple(row[1:].tolist()): i for i, row in enumerate(y.coords // y.stride)}
        order = [rows[tuple(row[1:].tolist())] for row in golden[f"{name}_coords"]]
        assert sorted(order) == list(range(len(y)))
        torch.testing.assert_close(y.features[order], golden[f"{name}_features"])


def test_spunet_is_the_published_one(tmp_path):
    assert sum(parameter.numel() for parameter in SpUNet(6, 20).parameters()) == 39_157_844
    torch.manual_seed(0)
    model = SpUNet(6, 20, width=0.125)
    assert model.conv_input[1].bn.eps == 1e-3
    x = SparseTensor(
        torch.tensor([[0, 0, 0, 0], [0, 9, 1, 2]], dtype=torch.int32), torch.ones(2, 6)
    )
    assert model(x).features.shape == (2, 20)
    with pytest.raises(ValueError, match=r"width must be above 0 and finite, got 0\.0"):
        SpUNet(6, 20, width=0.0)


@pytest.mark.parametrize("suffix", ["pth", "legacy.pth", "safetensors"])
@pytest.mark.filterwarnings("ignore")  # torch's, on what it reads
def test_mutated_files_are_weights_or_refused(tmp_path, mutated, suffix):
    model, path = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), tmp_path / f"a.{suffix}"
    if suffix == "safetensors":
        save_file(model.state_dict(), path)
    else:
        is_zip = suffix == "pth"
        content = {"state_dict": model.state_dict(), "epoch": 3}
        torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    refusals = []
    for content in mutated(path.read_bytes(), 400):
        path.write_bytes(content)
        try:
            load_published_checkpoint(model, path)
        except ValueError as error:
            refusals.append(str(error))
    assert refusals
    assert all(str(path) in refusal for refusal in refusals)


def test_a_state_that_holds_itself_is_refused(tmp_path):
    state: dict = {}
    state["model"] = state
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"path must name a weights file, got .* recursion"):
        load_published_checkpoint(network(), tmp_path / "a.pth")


def test_records_that_claim_more_than_the_file_are_refused(tmp_path):
    whole, packed = tmp_path / "whole.pth", tmp_path / "packed.pth"
    torch.save({"weight": torch.zeros(1 << 20)}, whole)
    with (
        zipfile.ZipFile(whole) as records,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for record in records.infolist():
            out.writestr(record.filename, records.read(record))
    assert packed.stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"its records must fit in its \d+ bytes, got 4194\d+"):
        load_published_checkpoint(network(), packed)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (torch.zeros(1).expand(1 << 40), "must hold all of its tensors, got weight with .*1099511"),
        (torch.eye(2).to_sparse(), "must hold plain tensors only, got weight of"),
        (torch.zeros(2, dtype=torch.complex64), "must hold plain tensors only, got weight of"),
    ],
)
def test_tensors_that_are_not_what_they_seem_are_refused(tmp_path, value, problem):
    torch.save({"weight": value}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=problem):
        load_published_checkpoint(nn.Linear(2, 2), tmp_path / "a.pth")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    model = nn.Linear(2, 2)
    torch.save({"weight": torch.full((2, 2), torch.nan)}, tmp_path / "a.pth")
    before = model.weight.clone()
    with pytest.raises(ValueError, match="must hold finite numbers, got NaN or infinity in weight"):
        load_published_checkpoint(model, tmp_path / "a.pth")
    assert torch.equal(model.weight, before)
