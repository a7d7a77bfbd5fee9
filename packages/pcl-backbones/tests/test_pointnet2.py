"""Tests of pcl_backbones.pointnet2."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import load_published_checkpoint
from pcl_backbones.point_sampling import furthest_points
from pcl_backbones.pointnet2 import PointNet2, name_in_votenet

COUNTS = (32, 16, 8, 4)


def network(in_channels=1, **others):
    torch.manual_seed(0)
    sizes = {"out_channels": 8, "width": 0.1, "counts": COUNTS, "radii": (0.3, 0.5, 0.8, 1.2)}
    return PointNet2(in_channels, **(sizes | others))


def scenes(n=100):
    torch.manual_seed(1)
    return torch.rand(2, n, 3), torch.rand(2, 1, n)


def test_seeds_are_the_furthest_points_and_each_level_those_of_the_one_before():
    """Sampled again in every level, as the published network does, they are the same."""
    model, (points, features) = network().eval(), scenes()
    found = model(points, features)
    levels = [model.sa1(points, features)]
    for layer in (model.sa2, model.sa3, model.sa4):
        levels.append(layer(levels[-1].points, levels[-1].features))
    up = model.fp1(levels[2].points, levels[3].points, levels[2].features, levels[3].features)
    up = model.fp2(levels[1].points, levels[2].points, levels[1].features, up)
    assert_close(found.features, up, rtol=0, atol=0)
    assert torch.equal(found.points, levels[1].points)
    assert torch.equal(found.index, furthest_points(points, 16))
    assert torch.equal(found.points[1], points[1, found.index[1]])


def test_every_parameter_gets_the_same_gradient_in_two_runs():
    model, (points, features) = network(), scenes()

    def run():
        model.zero_grad()
        model(points, features).features.square().sum().backward()
        return [p.grad.clone() for p in model.parameters()]

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)
        assert first.isfinite().all()
        assert first.any()


def test_a_scene_does_not_see_another():
    model, (points, features) = network().eval(), scenes()
    assert_close(model(points[1:], features[1:]).features, model(points, features).features[1:])


# Layers of VoteNet's own network (backbone_module.py), for one feature a point.
SIZES = {
    "sa1.mlp_module": (4, 64, 64, 128),
    "sa2.mlp_module": (131, 128, 128, 256),
    "sa3.mlp_module": (259, 128, 128, 256),
    "sa4.mlp_module": (259, 128, 128, 256),
    "fp1.mlp": (512, 256, 256),
    "fp2.mlp": (512, 256, 256),
}


def published(sizes):
    """Tensors by the names and in the shapes of the published network."""
    state = {}
    for name, widths in sizes.items():
        for k, (n_in, n_out) in enumerate(pairwise(widths)):
            layer = f"{name}.layer{k}"
            state[f"{layer}.conv.weight"] = torch.rand(n_out, n_in, 1, 1)
            for value in ("weight", "bias", "running_mean", "running_var"):
                state[f"{layer}.bn.bn.{value}"] = torch.rand(n_out)
            state[f"{layer}.bn.bn.num_batches_tracked"] = torch.tensor(7)
    return state


def shapes(state):
    return {name: tuple(value.shape) for name, value in state.items()}


def test_names_and_shapes_are_those_of_votenet():
    assert shapes(PointNet2(1).state_dict()) == shapes(published(SIZES))
    model = PointNet2(1)
    layers = (model.sa1, model.sa2, model.sa3, model.sa4)
    assert [layer.count for layer in layers] == [2048, 1024, 512, 256]
    assert [layer.radius for layer in layers] == [0.2, 0.4, 0.8, 1.2]
    assert [layer.n_neighbors for layer in layers] == [64, 32, 16, 16]
    assert model.feature_channels == 256


def test_names_and_shapes_are_those_of_depthcontrast():
    sizes = SIZES | {"sa1.mlp_module": (3, 64, 64, 128)}
    sizes |= {"fp1.mlp": (512, 512, 512), "fp2.mlp": (768, 512, 512)}
    assert shapes(PointNet2(0, out_channels=512).state_dict()) == shapes(published(sizes))


@pytest.mark.parametrize("prefix", ["", "backbone_net.", "module.trunk.0."])
def test_a_published_file_fills_every_tensor(prefix, tmp_path):
    state = {prefix + name: value for name, value in published(SIZES).items()}
    torch.save({"model_state_dict": state, "epoch": 3}, tmp_path / "checkpoint.tar")
    model = PointNet2(1)
    report = load_published_checkpoint(model, tmp_path / "checkpoint.tar")
    assert (report.missing, report.mismatched, report.unused) == ((), (), ())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[prefix + name])


def test_names_of_mmdetection3d_become_those_of_votenet():
    theirs = {}
    for k in range(4):
        theirs |= {f"backbone.SA_modules.{k}.mlps.0": f"backbone.sa{k + 1}.mlp_module"}
    for k in range(2):
        theirs |= {f"backbone.FP_modules.{k}.mlps": f"backbone.fp{k + 1}.mlp"}
    for name, ours in theirs.items():
        assert name_in_votenet(f"{name}.layer1.conv.weight") == f"{ours}.layer1.conv.weight"
        assert name_in_votenet(f"{name}.layer2.bn.bias") == f"{ours}.layer2.bn.bn.bias"
    for name in PointNet2(1).state_dict():
        assert name_in_votenet(name) == name


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"in_channels": -1}, "in_channels must be at least 0, got -1"),
        ({"out_channels": 0}, "channels must be some numbers of at least 1"),
        ({"width": 0.0}, "width must be above 0 and finite, got 0.0"),
        ({"counts": (8, 4, 3)}, "counts must be 4 numbers, got 3"),
        ({"radii": (0.1,)}, "radii must be 4 numbers, got 1"),
        ({"radii": (0.1, 0.2, 0.3, 0)}, "radius must be above 0 and finite, got 0"),
        ({"counts": (8, 9, 4, 3)}, r"counts must fall, to 3 at least, got \(8, 9, 4, 3\)"),
        ({"counts": (8, 4, 4, 2)}, r"counts must fall, to 3 at least, got \(8, 4, 4, 2\)"),
    ],
)
def test_sizes_out_of_range_are_refused(change, problem):
    with pytest.raises(ValueError, match=problem):
        network(**change)


def test_fewer_points_than_centers_are_refused():
    points, features = scenes(31)
    with pytest.raises(ValueError, match=r"points must hold at least 32 a scene, .* got 31"):
        network()(points, features)
    with pytest.raises(ValueError, match="features must have 1 channels, got 0"):
        network()(scenes()[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same():
    model, (points, features) = network().eval(), scenes()
    expected = model(points, features)
    found = model.cuda()(points.cuda(), features.cuda())
    assert torch.equal(found.index.cpu(), expected.index)
    assert_close(found.features.cpu(), expected.features, rtol=1e-3, atol=1e-3)


@pytest.mark.real
def test_seeds_of_a_real_scan(real_data):
    scan = np.load(real_data / "scannet" / "points50k" / "scene0001_00.npz")["coord"]
    points = torch.from_numpy(scan.astype(np.float32))[None, :20_000]
    model = PointNet2(0, width=0.1, out_channels=8).eval()
    with torch.inference_mode():
        seeds = model(points)
    assert seeds.features.shape == (1, 8, 1024)
    assert seeds.features.isfinite().all()
    assert torch.equal(seeds.points[0], points[0, seeds.index[0]])


def test_a_file_of_mmdetection3d_fills_every_tensor(tmp_path):
    model, source = network(), network()
    stored = {}
    for name, value in source.state_dict().items():
        for k in range(4):
            name = name.replace(f"sa{k + 1}.mlp_module", f"SA_modules.{k}.mlps.0")
        for k in range(2):
            name = name.replace(f"fp{k + 1}.mlp", f"FP_modules.{k}.mlps")
        stored["backbone." + name.replace("bn.bn.", "bn.")] = torch.randn_like(value.float())
    torch.save({"state_dict": stored}, tmp_path / "votenet.pth")
    report = load_published_checkpoint(model, tmp_path / "votenet.pth")
    assert (report.missing, report.mismatched, report.unused) == ((), (), ())
    assert_close(
        model.fp2.mlp.layer1.bn.bn.bias, stored["backbone.FP_modules.1.mlps.layer1.bn.bias"]
    )
