"""Tests of pcl_backbones.engine."""

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import SparseTensor, cpu_engine, device_engine
from pcl_backbones.cpu_engine import MIN_ROWS
from pcl_backbones.engine import convolve
from pcl_backbones.epilogue import Epilogue
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


def large_case(size, stride, transposed, channels=(67, 100)):
    """More rows than a block has to hold, in random order; widths that no tile divides."""
    torch.manual_seed(0)
    coords = surface_scene(24)
    x = SparseTensor(coords, torch.empty(len(coords), 1))
    found = kernel_map(x, size, stride)
    found = found.transposed if transposed else found
    assert found.n_outputs > 4 * MIN_ROWS
    features = torch.randn(found.n_inputs, channels[0])
    kernel = torch.randn(size**3, *channels) / 30
    return features, kernel, torch.randn(found.n_outputs, channels[1]), found


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_tiles_give_what_whole_slots_give(size, stride, transposed):
    features, kernel, gradient, found = large_case(size, stride, transposed)
    for name, arguments in (
        ("sum_of_products", (features, kernel)),
        ("outer_products", (features, gradient)),
    ):
        exact = getattr(device_engine, name)(*(value.double() for value in arguments), found)
        tiled = getattr(cpu_engine, name)(*arguments, found)
        assert tiled.dtype == torch.float32
        assert_close(tiled.double(), exact, rtol=0, atol=3e-6 * exact.abs().max().item())


def test_threads_change_no_bit():
    features, kernel, gradient, found = large_case(3, 1, False)

    def run(n_threads):
        torch.set_num_threads(n_threads)
        with torch.inference_mode():
            out = cpu_engine.sum_of_products(features, kernel, found)
            return out, cpu_engine.outer_products(features, gradient, found)

    try:
        alone = run(1)
        for shared in (run(2), run(3)):
            assert torch.equal(shared[0], alone[0])
            assert torch.equal(shared[1], alone[1])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("channels", [(67, 100), (32, 64), (3, 16)])
def test_bfloat16_rounds_once(channels):
    features, kernel, gradient, found = large_case(3, 1, False, channels)
    features, kernel, gradient = features.bfloat16(), kernel.bfloat16(), gradient.bfloat16()
    out = cpu_engine.sum_of_products(features, kernel, found)
    exact = device_engine.sum_of_products(features.double(), kernel.double(), found)
    assert out.dtype == torch.bfloat16
    largest = exact.abs().max().item()  # sums in float32 are 1e-6 of it off, then rounded
    assert_close(out.double(), exact, rtol=2**-8, atol=1e-6 * largest)
    to_kernel = cpu_engine.outer_products(features, gradient, found)
    exact = device_engine.outer_products(features.double(), gradient.double(), found)
    assert to_kernel.dtype == torch.float32
    assert_close(to_kernel.double(), exact, rtol=0, atol=3e-6 * exact.abs().max().item())


def test_bfloat16_keeps_what_is_no_number():
    features, kernel, _, found = large_case(3, 1, False, (32, 32))
    features[3, 5], features[4, 6] = torch.nan, torch.inf
    expected = device_engine.sum_of_products(features, kernel.sign(), found)
    out = cpu_engine.sum_of_products(features.bfloat16(), kernel.sign().bfloat16(), found)
    assert torch.equal(out.isnan(), expected.isnan())
    assert torch.equal(out.isposinf(), expected.isposinf())
    assert expected.isposinf().any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("has_shortcut", [False, True])
@pytest.mark.parametrize("is_relu", [False, True])
def test_an_epilogue_follows_the_sums(dtype, has_shortcut, is_relu):
    features, kernel, gradient, found = large_case(3, 1, False)
    features, kernel = features.to(dtype), kernel.to(dtype)
    shortcut = gradient.to(dtype) if has_shortcut else None
    scale, shift = torch.randn(2, kernel.shape[2]).to(torch.promote_types(dtype, torch.float32))
    with torch.no_grad():
        out = convolve(features, kernel, found, Epilogue(scale, shift, shortcut, is_relu))
    exact = device_engine.sum_of_products(features.double(), kernel.double(), found)
    exact = exact * scale + shift + (0 if shortcut is None else shortcut)
    exact = exact.relu() if is_relu else exact
    largest = exact.abs().max().item()
    relative = 2**-8 if dtype == torch.bfloat16 else 0  # rounded once, at the end
    assert out.dtype == dtype
    assert_close(out.double(), exact, rtol=relative, atol=3e-6 * largest)


def test_a_wider_kernel_is_rounded_and_what_is_no_number_stays():
    features, kernel, _, found = large_case(3, 1, False, (33, 40))
    kernel[3, 5, 7], kernel[4, 6, 8], kernel[5, 32, 9] = torch.nan, torch.inf, 3.4e38
    narrow = cpu_engine.sum_of_products(features.bfloat16(), kernel.bfloat16(), found)
    wide = cpu_engine.sum_of_products(features.bfloat16(), kernel, found)
    assert torch.equal(wide.nan_to_num(-7), narrow.nan_to_num(-7))
    assert wide.isnan().any()


def test_autocast_rounds_no_gradient_of_the_kernel():
    features, kernel, gradient, found = large_case(3, 1, False, (32, 32))
    kernel.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = convolve(features, kernel, found)
    out.backward(gradient.bfloat16())
    wanted = cpu_engine.outer_products(features.bfloat16(), gradient.bfloat16(), found)
    assert torch.equal(kernel.grad, wanted)
    assert not torch.equal(kernel.grad, wanted.bfloat16().float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_types_are_computed_in_plain_torch(dtype):
    features, kernel, _, found = large_case(3, 1, False)
    exact = device_engine.sum_of_products(features.double(), kernel.double(), found)
    out = convolve(features.to(dtype), kernel.to(dtype), found)
    assert out.dtype == dtype
    assert_close(out.double(), exact, rtol=0, atol=4e-3 * exact.abs().max().item())


def test_autocast_multiplies_in_its_type_and_gives_gradients_in_that_of_the_parameters():
    features, kernel, found = case(dtype=torch.float32, n=12)
    exact = convolve(features, kernel, found)
    exact.square().sum().backward()
    wanted, features.grad, kernel.grad = (features.grad, kernel.grad), None, None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = convolve(features, kernel, found)
    out.float().square().sum().backward()
    assert out.dtype == torch.bfloat16
    assert_close(out.float(), exact, rtol=0.02, atol=0.02 * exact.abs().max().item())
    for parameter, gradient in zip((features, kernel), wanted, strict=True):
        assert parameter.grad.dtype == torch.float32
        assert_close(parameter.grad, gradient, rtol=0.05, atol=0.02 * gradient.abs().max().item())


def test_kernel_and_features_must_share_device_and_type():
    features, kernel, found = case(dtype=torch.float32)
    with pytest.raises(ValueError, match="kernel must be on cpu as x is, got meta"):
        convolve(features, kernel.to("meta"), found)
    with pytest.raises(ValueError, match=r"be torch.float32 as x is, got torch.float64"):
        convolve(features, kernel.double(), found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    coords = surface_scene(12)
    features, layer = torch.randn(len(coords), 8).double(), Conv3d(8, 8, 3).double()
    on_cpu = layer(SparseTensor(coords, features)).features
    on_gpu = layer.cuda()(SparseTensor(coords.cuda(), features.cuda())).features
    assert_close(on_gpu.cpu(), on_cpu)
