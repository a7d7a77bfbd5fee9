"""Tests of pcl_clip3d.enet."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from pcl_clip3d.enet import ENET_MEAN, ENET_SIZE, ENET_STD, ENet, load_enet
from pcl_clip3d.image_pixels import normalized_pixels


@pytest.fixture
def network() -> ENet:
    torch.manual_seed(0)
    network = ENet(5).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2)
    return network


def normed(layer, x) -> torch.Tensor:
    """Batch normalisation of known statistics, with the epsilon of the weights' framework."""
    mean, var, scale, shift = (
        v[:, None, None] for v in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / (var + 1e-3).sqrt() * scale + shift


def leaky(layer, x) -> torch.Tensor:
    return x.clamp(min=0) + layer.weight[:, None, None] * x.clamp(max=0)


def convolved(x, weight, bias, *, stride=1, dilation=1) -> torch.Tensor:
    """A convolution as a sum over the places of the kernel, zeros outside; padded to keep size."""
    rows, columns = weight.shape[2:]
    pad = (0, 0) if stride > 1 else ((rows // 2) * dilation, (columns // 2) * dilation)
    x = functional.pad(x, (pad[1], pad[1], pad[0], pad[0]))
    height = (x.shape[1] - dilation * (rows - 1) - 1) // stride + 1
    width = (x.shape[2] - dilation * (columns - 1) - 1) // stride + 1
    total = torch.zeros(len(weight), height, width)
    for i in range(rows):
        for j in range(columns):
            y, z = i * dilation, j * dilation
            part = x[:, y : y + stride * height : stride, z : z + stride * width : stride]
            total += torch.einsum("oc,chw->ohw", weight[:, :, i, j], part)
    return total if bias is None else total + bias[:, None, None]


@torch.no_grad()
@pytest.mark.parametrize(
    ("number", "dilation", "kept"),
    [
        *((4, 1, 0.99), (5, 1, 0.99), (9, 1, 0.9), (10, 1, 0.9), (11, 2, 0.9), (12, 0, 0.9)),
        *((13, 4, 0.9), (15, 8, 0.9), (17, 16, 0.9), (20, 0, 0.9), (25, 16, 0.9)),
    ],
)
def test_a_bottleneck_is_its_table(network, number, dilation, kept):
    block = network[number]
    layers = list(block[0][0])
    shrinks = number in (4, 9)
    x = torch.randn(layers[0].in_channels, 20, 36, generator=torch.Generator().manual_seed(number))
    skipped = x
    y = convolved(x, layers[0].weight, None, stride=2 if shrinks else 1)
    y = leaky(layers[2], normed(layers[1], y))
    if dilation:
        y = convolved(y, layers[3].weight, layers[3].bias, dilation=dilation)
        rest = layers[4:]
    else:
        assert layers[3].kernel_size == (1, 5)
        y = convolved(convolved(y, layers[3].weight, None), layers[4].weight, layers[4].bias)
        rest = layers[5:]
    y = leaky(rest[1], normed(rest[0], y))
    y = normed(rest[3], convolved(y, rest[2].weight, None))
    if shrinks:
        corners = [x[:, i::2, j::2] for i in range(2) for j in range(2)]
        skipped = torch.zeros_like(y)
        skipped[: len(x)] = torch.stack(corners).amax(dim=0)
    wanted = leaky(block[2], kept * y + skipped)
    assert_close(block(x[None])[0], wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_start_puts_the_pooled_image_beside_the_convolved(network):
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = network[0](x)
    assert found.shape == (1, 16, 4, 4)
    assert_close(found[:, :13], network[0][0](x))
    assert_close(found[0, 14, 1, 2], x[0, 1, 2:4, 4:6].max())


@torch.no_grad()
def test_the_output_is_an_eighth_of_the_input(network):
    assert network(torch.zeros(2, 3, 16, 40)).shape == (2, 5, 2, 5)
    with pytest.raises(ValueError, match=r"input must have height .* of 8, got \(16, 41\)"):
        network(torch.zeros(1, 3, 16, 41))


def test_dropout_in_training_leaves_the_scale_of_what_stays(network):
    dropout = network[10][0][0][-1]
    dropout.train()
    torch.manual_seed(0)
    found = dropout(torch.ones(1, 4000, 1, 1)).flatten()
    assert_close(found.unique(), torch.tensor([0.0, 1.0]))
    assert math.isclose(float(found.mean()), 0.9, abs_tol=0.02)


def test_weights_come_back(network, tmp_path):
    old = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}
    torch.save(old, tmp_path / "enet.pth")
    again = load_enet(tmp_path / "enet.pth")
    assert not again.training
    x = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert_close(again(x), network(x))


def test_other_files_are_refused(network, tmp_path):
    path = tmp_path / "other.pth"
    torch.save(torch.nn.Linear(1, 1).state_dict(), path)
    with pytest.raises(ValueError, match=r"other\.pth must hold the weights of this architecture"):
        load_enet(path)
    network[26][0].weight.data[0] = math.nan
    torch.save(network.state_dict(), path)
    with pytest.raises(ValueError, match="finite weights, got NaN or infinity in 26"):
        load_enet(path)
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_enet(tmp_path / "none.pth")


@pytest.mark.real
def test_the_weights_of_3dmv_know_most_pixels_of_a_room(real_data):
    network = load_enet(real_data / "models" / "scannetv2_enet.pth")
    stored = [v for v in network.state_dict().values() if v.is_floating_point()]
    assert sum(values.numel() for values in stored) == 350_924
    photo = read_image(real_data / "scannet/frames/scene0000_00/color/120.jpg")
    image = torch.from_numpy(photo)
    with torch.no_grad():
        logits = network(normalized_pixels(image, ENET_SIZE, mean=ENET_MEAN, std=ENET_STD))
    assert logits.shape == (1, 41, 32, 41)
    labels, pixels = labeled_pixels(real_data / "scannet", "120")
    cells = (pixels * np.array([32, 41]) / photo.shape[:2]).astype(int)
    classes = logits[0].argmax(dim=0).numpy()
    assert np.mean(classes[cells[:, 0], cells[:, 1]] == labels) > 0.6


def read_image(path) -> np.ndarray:
    return np.array(pytest.importorskip("PIL.Image").open(path))


def labeled_pixels(scannet, frame) -> tuple[np.ndarray, np.ndarray]:
    """NYU40 labels of vertices that a frame sees, and their (row, column) in the colour image."""
    content = (scannet / "scans/scene0000_00/scene0000_00_vh_clean_2.labels.ply").read_bytes()
    start = content.index(b"end_header\n") + len(b"end_header\n")
    vertex = np.dtype([("xyz", "<f4", 3), ("rgba", "u1", 4), ("label", "<u2")])
    vertices = np.frombuffer(content, vertex, count=81369, offset=start)
    frames = scannet / "frames/scene0000_00"
    camera = np.linalg.inv(np.loadtxt(frames / f"pose/{frame}.txt"))
    points = vertices["xyz"] @ camera[:3, :3].T + camera[:3, 3]
    spots = points @ np.loadtxt(frames / "intrinsic/intrinsic_color.txt")[:3, :3].T
    pixels = (spots[:, :2] / spots[:, 2:])[:, ::-1]  # (row, column)
    inside = (points[:, 2] > 0) & (pixels > 0).all(axis=1) & (pixels < (967, 1295)).all(axis=1)
    depth = read_image(frames / f"depth/{frame}.png") / 1000
    at = (pixels[inside] * np.array(depth.shape) / (968, 1296)).astype(int)
    seen = np.abs(depth[at[:, 0], at[:, 1]] - points[inside, 2]) < 0.05
    labels, pixels = vertices["label"][inside][seen], pixels[inside][seen]
    return labels[labels > 0], pixels[labels > 0]
