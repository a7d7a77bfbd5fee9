"""Tests of pcl_backbones.sparse: against dense layers of torch, and the equation as a loop."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from pcl_backbones import SparseTensor, sparse
from pcl_backbones.coordinates import kernel_offsets
from pcl_backbones.testing import surface_scene

SIZE = 8


def scene(channels=3, size=SIZE):
    torch.manual_seed(0)
    coords = surface_scene(size)
    coords[:, 1:] += size // 3  # a dense grid begins at 0
    features = torch.randn(len(coords), channels, dtype=torch.float64, requires_grad=True)
    return SparseTensor(coords, features)


def densify(x, size=SIZE):
    """(1, c, x, y, z) with zeros where there is no voxel."""
    grid = x.features.new_zeros(size, size, size, x.features.shape[1])
    voxels = (x.coords[:, 1:] // x.stride).long()
    return grid.index_put(tuple(voxels.T), x.features).permute(3, 0, 1, 2)[None]


def dense_weight(kernel, size):
    """Slots (z, y, x slowest to fastest) to torch's (out, in, x, y, z)."""
    return kernel.view(size, size, size, *kernel.shape[1:]).permute(4, 3, 2, 1, 0)


def at(dense, x):
    """Rows of a dense grid at the voxels of x."""
    voxels = (x.coords[:, 1:] // x.stride).long()
    return dense[0].permute(1, 2, 3, 0)[tuple(voxels.T)]


def assert_same_gradients(out, expected, inputs):
    weight = torch.randn_like(out)
    got = torch.autograd.grad((out * weight).sum(), inputs, retain_graph=True)
    wanted = torch.autograd.grad((expected * weight).sum(), inputs)
    for a, b in zip(got, wanted, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("size", [3, 5])
def test_convolution_equals_the_dense_one(size):
    x, layer = scene(), sparse.Conv3d(3, 4, size, bias=True).double()
    out = layer(x)
    dense = functional.conv3d(
        densify(x), dense_weight(layer.kernel, size), layer.bias[0], padding=size // 2
    )
    assert_close(out.features, at(dense, x))
    assert_same_gradients(out.features, at(dense, x), [x.features, *layer.parameters()])


def test_strided_convolution_equals_the_dense_one():
    x, layer = scene(), sparse.Conv3d(3, 4, 2, stride=2).double()
    out = layer(x)
    dense = functional.conv3d(densify(x), dense_weight(layer.kernel, 2), stride=2)
    assert out.stride == 2
    assert_close(out.features, at(dense, out))
    assert_same_gradients(out.features, at(dense, out), [x.features, layer.kernel])


def test_transposed_convolution_equals_the_dense_one_on_the_finer_voxels():
    x = scene()
    coarse = sparse.MaxPool3d()(x)
    layer = sparse.ConvTranspose3d(3, 4, 2, stride=2, bias=True).double()
    out = layer(coarse)
    weight = dense_weight(layer.kernel, 2).transpose(0, 1)
    dense = functional.conv_transpose3d(densify(coarse, SIZE // 2), weight, layer.bias[0], stride=2)
    assert torch.equal(out.coords, x.coords)
    assert_close(out.features, at(dense, x))
    assert_same_gradients(out.features, at(dense, x), [x.features, *layer.parameters()])


def test_convolution_is_the_equation():
    x, layer = scene(channels=2, size=4), sparse.Conv3d(2, 3, 3).double()
    rows = {tuple(row): i for i, row in enumerate(x.coords.tolist())}
    expected = torch.zeros(len(x), 3, dtype=torch.float64)
    for (b, *u), o in rows.items():
        for slot, offset in enumerate(kernel_offsets(3)):
            i = rows.get((b, *(c + d for c, d in zip(u, offset, strict=True))))
            if i is not None:
                expected[o] += x.features[i].detach() @ layer.kernel[slot].detach()
    assert_close(layer(x).features.detach(), expected)


@pytest.mark.parametrize("slot", range(27))
def test_an_impulse_shows_the_order_of_the_slots(slot):
    dx, dy, dz = slot % 3 - 1, slot // 3 % 3 - 1, slot // 9 - 1  # x fastest, centred
    coords = torch.tensor([[0, x, y, z] for x in range(3) for y in range(3) for z in range(3)])
    layer = sparse.Conv3d(1, 1, 3)
    layer.kernel.data.zero_()[slot] = 1
    impulse = (coords[:, 1:] == 1).all(1, keepdim=True).float()
    out = layer(SparseTensor(coords.int(), impulse)).features[:, 0]
    # out[u] = x[u + offset]: the impulse at (1, 1, 1) shows at (1, 1, 1) - offset
    assert coords[out.nonzero()[:, 0], 1:].tolist() == [[1 - dx, 1 - dy, 1 - dz]]


@pytest.mark.parametrize("slot", range(8))
def test_a_fine_voxel_uses_the_same_slot_both_ways(slot):
    odd = [slot & 1, slot >> 1 & 1, slot >> 2 & 1]  # dx + 2 dy + 4 dz
    coords = torch.tensor([[0, -4 + odd[0], 6 + odd[1], odd[2]]], dtype=torch.int32)
    x = SparseTensor(coords, torch.ones(1, 1))
    down, up = sparse.Conv3d(1, 1, 2, stride=2), sparse.ConvTranspose3d(1, 1, 2, stride=2)
    for layer in (down, up):
        layer.kernel.data = torch.arange(8.0).view(8, 1, 1)
    coarse = down(x)
    assert coarse.coords.tolist() == [[0, -4, 6, 0]]
    assert coarse.features.item() == slot
    assert up(coarse.with_features(torch.ones(1, 1))).features.item() == slot


def test_kernels_have_the_published_shapes_and_bounds():
    conv = sparse.Conv3d(4, 16, 3, bias=True)
    assert conv.kernel.shape == (27, 4, 16)
    assert conv.bias.shape == (1, 16)
    assert sparse.Conv3d(4, 16, 1).kernel.shape == (4, 16)
    assert 0.98 < conv.kernel.abs().max() * (27 * 4) ** 0.5 <= 1
    assert 0.98 < sparse.ConvTranspose3d(4, 16, 2).kernel.abs().max() * (8 * 16) ** 0.5 <= 1


def test_pointwise_convolution_with_a_stride_samples_the_corners():
    x = SparseTensor(torch.tensor([[0, 0, 0, 0], [0, 3, 0, 0]]).int(), torch.ones(2, 1))
    layer = sparse.Conv3d(1, 1, 1, stride=2)
    assert_close(layer(x).features, torch.stack([layer.kernel[0], torch.zeros(1)]))


def test_max_pool_is_the_largest_of_each_cell():
    x = scene()
    out = sparse.MaxPool3d(2, 2)(x)
    for row, pooled in zip(out.coords, out.features, strict=True):
        members = (x.coords[:, 1:] // 2 * 2 == row[1:]).all(1)
        assert torch.equal(pooled, x.features[members].amax(0))


def test_max_pool_sends_the_gradient_to_one_of_equals():
    features = torch.zeros(2, 1, requires_grad=True)
    coords = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]], dtype=torch.int32)
    sparse.MaxPool3d()(SparseTensor(coords, features)).features.sum().backward()
    assert features.grad.tolist() == [[0.0], [1.0]]  # slot 0 is voxel (0, 0, 0)


@pytest.mark.parametrize("reduce", ["mean", "max", "sum"])
def test_global_pool_reduces_each_scene(reduce):
    coords = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0], [1, 5, 0, 0]], dtype=torch.int32)
    features = torch.tensor([[-1.0, 4], [-2, 8], [-5, 2]], requires_grad=True)
    out = sparse.GlobalPool(reduce)(SparseTensor(coords, features))
    both = {"mean": [-3.0, 3], "max": [-1.0, 4], "sum": [-6.0, 6]}[reduce]
    assert out.tolist() == [[-2, 8], both]
    out.sum().backward()
    assert features.grad.isfinite().all()


def test_batch_norm_is_that_of_torch():
    x, layer, expected = scene(), sparse.BatchNorm(3, momentum=0.3).double(), nn.BatchNorm1d(3)
    expected.momentum = 0.3
    assert_close(layer(x).features, expected.double()(x.features))
    assert_close(layer.bn.running_var, expected.running_var)


def test_batch_norm_of_one_row_uses_the_running_statistics():
    x = SparseTensor(torch.zeros(1, 4).int(), torch.full((1, 2), 3.0))
    layer = sparse.BatchNorm(2).train()
    assert_close(layer(x).features, torch.full((1, 2), 3.0), rtol=1e-4, atol=0)  # eps 1e-5
    assert layer.bn.running_mean.tolist() == [0, 0]


def trained_norm(n_channels):
    norm = sparse.BatchNorm(n_channels, epsilon=1e-3).double()
    for values in (norm.bn.running_mean, norm.bn.weight.data, norm.bn.bias.data):
        nn.init.normal_(values)
    nn.init.uniform_(norm.bn.running_var, 0.5, 2)
    return norm


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("with_shortcut", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("size", "stride", "up"), [(1, 1, 0), (3, 1, 0), (2, 2, 0), (2, 2, 1)])
def test_conv_norm_is_its_parts_whether_folded_or_not(size, stride, up, bias, with_shortcut, relu):
    torch.manual_seed(0)
    x = scene(3)
    kind = sparse.Conv3d
    if up:
        x, kind = sparse.Conv3d(3, 3, 2, stride=2).double()(x), sparse.ConvTranspose3d
    conv, norm = kind(3, 5, size, stride, bias=bias).double(), trained_norm(5).eval()
    parts = norm(conv(x))
    shortcut = parts.with_features(torch.randn_like(parts.features)) if with_shortcut else None
    wanted = parts.features + (shortcut.features if shortcut else 0)
    wanted = wanted.relu() if relu else wanted
    kept = x.features.clone(), shortcut and shortcut.features.clone()
    assert_close(sparse.conv_norm(conv, norm, x, shortcut=shortcut, relu=relu).features, wanted)
    with torch.no_grad():
        folded = sparse.conv_norm(conv, norm, x, shortcut=shortcut, relu=relu).features
    assert_close(folded, wanted)
    assert torch.equal(x.features, kept[0])
    assert shortcut is None or torch.equal(shortcut.features, kept[1])


def test_conv_norm_does_not_fold_a_norm_that_is_training():
    conv, norm = sparse.Conv3d(3, 5, 3).double(), trained_norm(5).eval()
    norm.bn.train()
    with torch.no_grad():
        out = sparse.conv_norm(conv, norm, scene(3), relu=False).features
    assert_close(out.mean(0), norm.bn.bias)


def test_relu_clips_at_zero():
    x = SparseTensor(torch.zeros(1, 4).int(), torch.tensor([[-1.0, 2.0]]))
    assert sparse.ReLU()(x).features.tolist() == [[0, 2]]


def test_cat_joins_channels_in_order():
    x = scene()
    joined = sparse.cat([x, x.with_features(x.features * 2)])
    assert torch.equal(joined.features, torch.cat([x.features, x.features * 2], 1))
    other = SparseTensor(x.coords.clone(), x.features)  # the same voxels, made apart
    assert sparse.cat([x, other]).features.shape == (len(x), 6)


def test_scenes_do_not_touch():
    coords = torch.tensor([[0, 0, 0, 0], [1, 1, 0, 0]], dtype=torch.int32)
    layer = sparse.Conv3d(1, 1, 3)
    out = layer(SparseTensor(coords, torch.ones(2, 1))).features
    assert_close(out, layer.kernel[13].expand(2, 1))


def test_rejects():
    x = SparseTensor(torch.zeros(1, 4).int(), torch.rand(1, 3))
    with pytest.raises(ValueError, match="kernel_size must be at least 1, got 0"):
        sparse.Conv3d(3, 4, 0)
    with pytest.raises(ValueError, match="in_channels must be at least 1, got 0"):
        sparse.ConvTranspose3d(0, 4, 2)
    for layer in (sparse.Conv3d(2, 4, 3), sparse.ConvTranspose3d(2, 4, 2)):
        with pytest.raises(ValueError, match="x must have 2 channels, got 3"):
            layer(x)
    with pytest.raises(ValueError, match="x must come from a tensor 2 times finer"):
        sparse.ConvTranspose3d(3, 4, 2, stride=2)(x)
    thirds = sparse.Conv3d(3, 3, 3, stride=3)(x)
    with pytest.raises(ValueError, match="x must come from a tensor 2 times finer"):
        sparse.ConvTranspose3d(3, 4, 2, stride=2)(thirds)
    with pytest.raises(ValueError, match="kernel_size must cover the stride, got 3 and 3"):
        sparse.MaxPool3d(3, 3)
    with pytest.raises(ValueError, match="reduce must be"):
        sparse.GlobalPool("median")
    with pytest.raises(ValueError, match="tensors must hold at least one"):
        sparse.cat([])
    with pytest.raises(ValueError, match="tensors must share their coords"):
        sparse.cat([x, SparseTensor(torch.tensor([[0, 1, 1, 1]]).int(), torch.rand(1, 3))])
    with pytest.raises(ValueError, match="tensors must be on one device, got cpu and meta"):
        sparse.cat([x, x._derived(x._cache, x.features.to("meta"), x.stride)])
