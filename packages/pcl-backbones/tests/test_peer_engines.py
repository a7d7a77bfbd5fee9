"""Tests of the engines that are libraries, against our own; each is skipped where there is none.

`hatch run minkowski:build` builds MinkowskiEngine, and `hatch run minkowski:test` runs these.
"""

import sys
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import Res16UNet14A, SparseTensor, SpUNet, use_engine
from pcl_backbones.engine import convolve
from pcl_backbones.sparse import Conv3d, ConvTranspose3d, kernel_map
from pcl_backbones.testing import surface_scene

LIBRARIES = {"minkowski": "MinkowskiEngine", "spconv": "spconv"}


def use(name):
    try:
        use_engine(name)
    except ImportError as error:
        pytest.skip(f"needs {LIBRARIES[name]}: {error}")


@pytest.fixture(autouse=True)
def _torch_again():
    yield
    use_engine("torch")


def case(size, stride, dtype, channels=(5, 7)):
    torch.manual_seed(0)
    coords = surface_scene(8)
    coords = torch.cat([coords, coords + torch.tensor([[1, 0, 0, 0]], dtype=torch.int32)])
    coords = coords[torch.randperm(len(coords))]
    features = torch.randn(len(coords), channels[0], dtype=dtype, requires_grad=True)
    layer = Conv3d(*channels, size, stride).to(dtype)
    back = ConvTranspose3d(channels[1], 4, size, stride).to(dtype)

    def run():
        """Down and up again, so that the strided map is used in both directions."""
        out = layer(SparseTensor(coords, features))
        return out.features, back(out).features

    return run, [features, layer.kernel, back.kernel]


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 1), (2, 2), (3, 2), (1, 2)])
def test_minkowski_agrees(size, stride):
    run, values = case(size, stride, torch.float64)
    use("minkowski")
    found = run()
    gradients = torch.autograd.grad(found[1].square().sum(), values)
    use_engine("torch")
    wanted = run()
    assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert_close(gradients, torch.autograd.grad(wanted[1].square().sum(), values))


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 1), (2, 2), (3, 2)])
def test_spconv_agrees(size, stride):
    run, _ = case(size, stride, torch.float32)
    use("spconv")
    with torch.no_grad():
        found = run()
        use_engine("torch")
        assert_close(found, run(), rtol=0, atol=1e-5)


def test_spconv_loses_no_sum_to_threads():
    torch.manual_seed(0)
    coords = surface_scene(24)
    x, layer = SparseTensor(coords, torch.randn(len(coords), 32)), Conv3d(32, 32, 3)
    use("spconv")
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            runs = [layer(x).features for _ in range(20)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(run, runs[0]) for run in runs)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("network", [Res16UNet14A, SpUNet])
def test_a_network_gives_the_same_with_each_engine(name, network):
    torch.manual_seed(0)
    coords = surface_scene(16)
    x = SparseTensor(coords, torch.randn(len(coords), 3))
    made = network(3, 4, width=0.25).eval()
    use(name)
    with torch.no_grad():
        found = made(x)
        use_engine("torch")
        assert_close(found.features, made(x).features, rtol=0, atol=1e-5)


def test_minkowski_takes_no_half_precision():
    use("minkowski")
    coords = surface_scene(4)
    x = SparseTensor(coords, torch.ones(len(coords), 2))
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(TypeError, match=r"must be float32 or float64 here, got torch\.bfloat16"),
    ):
        Conv3d(2, 2, 3)(x)


def test_minkowski_needs_voxels():
    use("minkowski")
    coords = surface_scene(4)
    x = SparseTensor(coords, torch.ones(len(coords), 2))
    bare = replace(kernel_map(x, 3), search=None)
    with pytest.raises(ValueError, match="kernel_map must come from voxels, got one made of pairs"):
        convolve(x.features, torch.ones(27, 2, 2), bare)


@pytest.mark.skipif(torch.cuda.is_available(), reason="spconv has gradients on a GPU")
def test_spconv_has_no_gradients_on_a_cpu():
    use("spconv")
    coords = surface_scene(4)
    with pytest.raises(NotImplementedError, match="spconv has no gradients on a CPU"):
        Conv3d(2, 2, 3)(SparseTensor(coords, torch.ones(len(coords), 2)))


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named(name, monkeypatch):
    for module in {LIBRARIES[name], *sys.modules}:
        if module.split(".")[0] == LIBRARIES[name]:
            monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"pcl_backbones.{name}_engine", raising=False)
    with pytest.raises(ImportError, match=rf"name '{name}' needs a library: .*{LIBRARIES[name]}"):
        use_engine(name)


def test_unknown_engines_name_those_there_are():
    with pytest.raises(ValueError, match=r"\['torch', 'minkowski', 'spconv'\], got 'cuda'"):
        use_engine("cuda")
