"""Tests of pcl_backbones.engine."""

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import SparseTensor, use_engine
from pcl_backbones.engine import convolve
from pcl_backbones.sparse import Conv3d, kernel_map
from pcl_backbones.testing import surface_scene


def case(size=3, stride=1, channels=(3, 4), dtype=torch.float64, n=4):
    torch.manual_seed(0)
    coords = surface_scene(n)
    x = SparseTensor(coords, torch.randn(len(coords), channels[0], dtype=dtype))
    kernel = torch.randn(size**3, *channels, dtype=dtype)
    return x.features.requires_grad_(), kernel.requires_grad_(), kernel_map(x, size, stride)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (2, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_gradients(size, stride, transposed):
    features, kernel, found = case(size, stride, channels=(2, 2), n=3)
    if transposed:
        found = found.transposed
        features = torch.randn(found.n_inputs, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: convolve(x, w, found), (features, kernel))


def test_two_runs_agree_bit_for_bit():
    def run():
        features, kernel, found = case(channels=(32, 32), dtype=torch.float32, n=16)
        out = convolve(features, kernel, found)
        out.square().sum().backward()
        return out.detach(), features.grad, kernel.grad

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


def test_autocast_computes_in_the_type_of_the_kernel():
    features, kernel, found = case(dtype=torch.float32)
    exact = convolve(features, kernel, found)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = convolve(features.bfloat16(), kernel, found)
    assert out.dtype == torch.float32
    assert_close(out, exact, rtol=0, atol=0.2)  # only the input is rounded, to 8 bits


def test_unknown_engines_name_those_there_are():
    with pytest.raises(ValueError, match=r"name must be one of \['torch'\], got 'minkowski'"):
        use_engine("minkowski")
    use_engine("torch")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    coords = surface_scene(12)
    features, layer = torch.randn(len(coords), 8).double(), Conv3d(8, 8, 3).double()
    on_cpu = layer(SparseTensor(coords, features)).features
    on_gpu = layer.cuda()(SparseTensor(coords.cuda(), features.cuda())).features
    assert_close(on_gpu.cpu(), on_cpu)
