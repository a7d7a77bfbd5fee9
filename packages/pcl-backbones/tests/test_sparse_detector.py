"""Tests of pcl_backbones.sparse_detector."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from pcl_backbones import Res16UNet14A, SparseTensor, SpUNet, load_published_checkpoint
from pcl_backbones.detector_losses import detection_loss
from pcl_backbones.sparse_detector import (
    LocationPredictions,
    SparseDetector,
    box_candidates,
    decode_boxes,
)
from pcl_backbones.testing import surface_scene


def unet(in_channels=3):
    return Res16UNet14A(in_channels, None, width=0.125, bn_momentum=0.2)


def detector(strides=(4, 8), *, backbone=None, **options):
    torch.manual_seed(0)
    options = {"voxel_size": 0.25, "channels": 16} | options
    return SparseDetector(backbone or unet(), 2, strides=strides, **options)


def batch(shift=0):
    coords = torch.cat([surface_scene(12), surface_scene(9, scene=1, seed=1)])
    features = torch.randn(len(coords), 3, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([0, shift, -shift, 0], dtype=torch.int32)
    return SparseTensor(coords + shift, features)


@pytest.mark.parametrize("strides", [(1,), (2, 4), (4, 16), (16, 32), (32, 64)])
@pytest.mark.parametrize("make", [unet, lambda: SpUNet(3, None, width=0.125)])
def test_every_occupied_voxel_of_every_level_is_a_location(make, strides):
    x = batch()
    with torch.no_grad():
        found = detector(strides, backbone=make())(x)
    expected = []
    for stride in strides:
        cells = x.coords.clone()
        cells[:, 1:] = cells[:, 1:].div(stride, rounding_mode="floor")
        for scene, *cell in cells.unique(dim=0).tolist():
            expected.append([scene, stride / 4, *((c + 0.5) * stride / 4 for c in cell)])
    rows = torch.cat([found.scene[:, None], found.cell_sizes[:, None], found.locations], dim=1)
    assert rows.unique(dim=0).tolist() == sorted(expected)
    assert found.logits.shape == (len(expected), 2)
    assert found.boxes.shape == (len(expected), 7)
    assert not found.boxes[:, 6].any()


def test_levels_of_the_decoder_end_in_its_features():
    network, x = unet().eval(), batch()
    with torch.no_grad():
        levels = list(network.decoder_levels(x))
        features = network.features(x)
    assert [level.stride for level in levels] == [16, 8, 4, 2, 1]
    assert {level.stride: level.features.shape[1] for level in levels} == network.level_channels
    finest = levels[-1]
    found, expected = (
        dict(zip(map(tuple, y.coords.tolist()), y.features.tolist(), strict=True))
        for y in (finest, features)
    )
    assert found == expected


def test_levels_finer_than_asked_for_are_not_computed():
    network, ran = detector((8,)), []
    for name, module in network.backbone.named_children():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    network(batch())
    assert [name for name in ran if name.startswith("block")] == [f"block{i}" for i in range(1, 6)]


@pytest.mark.parametrize("has_heading", [False, True])
def test_the_loss_trains_every_layer_of_the_head(has_heading):
    network = detector(has_heading=has_heading)
    boxes, labels = [torch.tensor([[1.0, 1, 1, 2, 2, 2, 0]])] * 2, [torch.tensor([1])] * 2
    detection_loss(network(batch()), boxes, labels).total.backward()
    for name, parameter in network.named_parameters():
        if not name.startswith("backbone"):
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


def test_weights_of_a_network_load_under_their_names(tmp_path):
    trained = unet()
    network = detector()
    torch.save(trained.state_dict(), tmp_path / "unet.pth")
    path = tmp_path / "unet.pth"
    report = load_published_checkpoint(network.backbone, path, kernel_order="cube")
    assert report.missing == report.unused == report.mismatched == ()
    state = network.state_dict()
    for name, value in trained.state_dict().items():
        assert torch.equal(state[f"backbone.{name}"], value)


def test_a_state_dict_of_another_architecture_is_refused(tmp_path):
    torch.save(SpUNet(3, None, width=0.125).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"must fit at least 50% of the model"):
        load_published_checkpoint(detector().backbone, tmp_path / "other.pth")


def test_boxes_move_with_the_scene_and_scenes_do_not_mix():
    network = detector(has_heading=True).eval()
    with torch.no_grad():
        found, moved = network(batch()), network(batch(shift=16))
        x = batch()
        first = x.coords[:, 0] == 0
        alone = network(SparseTensor(x.coords[first], x.features[first]))
    step = torch.tensor([4.0, -4, 0, 0, 0, 0, 0])  # 16 voxels of 0.25 m
    assert_close(moved.boxes, found.boxes + step, rtol=0, atol=1e-5)
    assert_close(moved.logits, found.logits)
    assert_close(alone.boxes, found.boxes[found.scene == 0], rtol=1e-4, atol=1e-5)


def test_the_order_of_voxels_changes_nothing():
    network, x = detector().eval(), batch()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        found = network(x)
        permuted = network(SparseTensor(x.coords[order], x.features[order]))
    assert torch.equal(found.locations, permuted.locations)
    assert torch.equal(found.logits, permuted.logits)


def test_classes_are_rare_and_boxes_are_cubes_of_a_metre_at_the_start():
    found = detector(has_heading=True)(batch())
    assert_close(found.logits.sigmoid().mean().item(), 0.01, rtol=0.3, atol=0)
    assert_close(found.boxes[:, 3:6].mean().item(), 1.0, rtol=0.1, atol=0)
    assert found.boxes[:, 6].abs().max() < 0.2


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8))
def test_decoding_is_its_equation(values):
    t = torch.tensor([values], dtype=torch.float64)
    location = torch.tensor([[1.0, -2, 3]], dtype=torch.float64)
    center = [1 + values[0], -2 + values[1], 3 + values[2]]
    heading = math.atan2(values[6], values[7]) / 2
    expected = torch.tensor([[*center, *map(math.exp, values[3:6]), heading]], dtype=torch.float64)
    assert_close(decode_boxes(location, t), expected)
    expected[:, 6] = 0
    assert_close(decode_boxes(location, t[:, :6]), expected)


def test_sizes_stay_finite_whatever_is_regressed():
    wild = torch.tensor([[0.0, 0, 0, 500, -500, 0]])
    sizes = decode_boxes(torch.zeros(1, 3), wild)[0, 3:6]
    assert_close(sizes, torch.tensor([7.0, -7, 0]).exp())


@given(st.integers(1, 8), st.integers(0, 99))
def test_candidates_are_the_most_confident_of_each_scene(n_candidates, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-3, 4, (9, 2), generator=generator).float()  # some tie
    scene, boxes = torch.arange(9) % 2, torch.arange(63.0).reshape(9, 7)
    found = LocationPredictions(boxes[:, :3], boxes[:, 0], scene, logits, boxes, True)
    candidates = box_candidates(found, n_candidates=n_candidates)
    assert len(candidates) == 2
    for i, (kept, probabilities) in enumerate(candidates):
        own = [row for row in range(9) if scene[row] == i]
        best = sorted(own, key=lambda row: -logits[row].max().item())[:n_candidates]
        assert torch.equal(kept, boxes[best])
        assert_close(probabilities, logits[best].sigmoid())


def test_one_voxel():
    x = SparseTensor(torch.zeros(1, 4, dtype=torch.int32), torch.ones(1, 3))
    [found] = box_candidates(detector()(x))
    assert found.boxes.shape == (2, 7)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"n_classes": 0}, "n_classes must be at least 1, got 0"),
        ({"voxel_size": 0.0}, "voxel_size must be above 0 and finite, got 0.0"),
        ({"voxel_size": math.nan}, "voxel_size must be above 0 and finite, got nan"),
        ({"strides": ()}, r"strides must be ascending powers of 2, got \(\)"),
        ({"strides": (8, 4)}, r"strides must be ascending powers of 2, got \(8, 4\)"),
        ({"strides": (4, 4)}, r"strides must be ascending powers of 2, got \(4, 4\)"),
        ({"strides": (4, 12)}, r"strides must be ascending powers of 2, got \(4, 12\)"),
        ({"strides": (0, 4)}, r"strides must be ascending powers of 2, got \(0, 4\)"),
        ({"channels": 0}, "out_channels must be at least 1, got 0"),
    ],
)
def test_rejects_sizes(change, problem):
    with pytest.raises(ValueError, match=problem):
        SparseDetector(**{"backbone": unet(), "n_classes": 2} | change)


def test_rejects_what_is_no_backbone_and_what_does_not_fit_it():
    with pytest.raises(TypeError, match="backbone must have features and feature_channels, got"):
        SparseDetector(nn.Linear(3, 3), 2)
    coarse = SparseTensor(torch.zeros(1, 4, dtype=torch.int32), torch.ones(1, 3), stride=2)
    with pytest.raises(ValueError, match="x must have stride 1, got 2"):
        detector()(coarse)
    with pytest.raises(ValueError, match="x must have 3 channels, got 2"):
        detector()(SparseTensor(torch.zeros(1, 4, dtype=torch.int32), torch.ones(1, 2)))
    found = detector()(batch())
    with pytest.raises(ValueError, match="n_candidates must be at least 1, got 0"):
        box_candidates(found, n_candidates=0)


BOXES = torch.tensor(
    [
        [0.9, 0.9, 0.4, 0.6, 0.5, 0.8, 0.3],
        [2.4, 0.8, 0.35, 1.4, 0.8, 0.7, -0.5],
        [1.0, 2.5, 0.4, 0.5, 0.6, 0.8, 1.2],
        [2.6, 2.6, 0.3, 0.7, 1.5, 0.6, 0.7],
    ]
)
LABELS = torch.tensor([0, 1, 0, 1])


def room(voxel_size):
    """Voxels of a floor and of the surfaces of BOXES."""
    step = torch.arange(0, 3.5, voxel_size)
    parts = [torch.cartesian_prod(step, step, torch.zeros(1))]
    for box in BOXES:
        unit = torch.cartesian_prod(*[torch.linspace(-0.5, 0.5, 30)] * 3)
        x, y, z = (unit[(unit.abs() == 0.5).any(dim=1)] * box[3:6]).unbind(1)
        cos, sin = box[6].cos(), box[6].sin()
        parts.append(torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=1) + box[:3])
    coords = (torch.cat(parts) / voxel_size).floor().int().unique(dim=0)
    return SparseTensor(nn.functional.pad(coords, (1, 0)), torch.ones(len(coords), 1))


def sampled_iou(box, truth):
    """IoU by counting points of a grid, in steps of 6 cm."""
    step = torch.arange(0, 3.5, 0.06)
    points = torch.cartesian_prod(step, step, torch.arange(-0.5, 1.5, 0.06))
    inside = []
    for x, y, z, length, width, height, heading in (box.tolist(), truth.tolist()):
        dx, dy, dz = (points - torch.tensor([x, y, z])).unbind(1)
        along = dx * math.cos(heading) + dy * math.sin(heading)
        across = dy * math.cos(heading) - dx * math.sin(heading)
        is_in = (along.abs() < length / 2) & (across.abs() < width / 2) & (dz.abs() < height / 2)
        inside.append(is_in)
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum())


def test_it_learns_the_boxes_of_one_room():
    torch.manual_seed(0)
    x, backbone = room(0.1), Res16UNet14A(1, None, width=0.25, bn_momentum=0.2)
    options = {"voxel_size": 0.1, "strides": (2, 4), "channels": 32, "has_heading": True}
    network = SparseDetector(backbone, 2, **options)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=30)
    for _ in range(30):
        optimizer.zero_grad()
        detection_loss(network(x), [BOXES], [LABELS]).total.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        [found] = box_candidates(network.eval()(x), n_candidates=24)
    for box, label in zip(BOXES, LABELS, strict=True):
        own = found.probabilities[:, label].argsort(descending=True)[:12]  # two boxes of a class
        overlaps = [sampled_iou(found.boxes[row], box) for row in own]
        best = own[overlaps.index(max(overlaps))]
        assert max(overlaps) > 0.5
        assert found.probabilities[best].argmax() == label
        assert found.probabilities[best].max() > 0.3
