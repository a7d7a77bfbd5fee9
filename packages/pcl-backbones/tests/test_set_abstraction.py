"""Tests of pcl_backbones.set_abstraction."""

import inspect

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_neighbors import ball_query, three_nearest
from pcl_backbones.point_sampling import furthest_points
from pcl_backbones.set_abstraction import FeaturePropagation, SetAbstraction


def scenes(n=40, n_channels=2, dtype=torch.float64):
    torch.manual_seed(0)
    return torch.rand(2, n, 3, dtype=dtype), torch.randn(2, n_channels, n, dtype=dtype)


def layer(n_channels=2, channels=(5, 4), count=6, radius=0.4, n_neighbors=7, **others):
    torch.manual_seed(1)
    sizes = {"count": count, "radius": radius, "n_neighbors": n_neighbors}
    return SetAbstraction(n_channels, channels, **(sizes | others)).double()


def slow_layers(rows, layers):
    """Linear, batch norm with the statistics of all rows, ReLU; rows (r, c)."""
    for part in layers:
        rows = rows @ part.conv.weight[:, :, 0, 0].T
        variance, mean = torch.var_mean(rows, dim=0, correction=0)
        rows = (rows - mean) / (variance + 1e-5).sqrt()
        rows = (rows * part.bn.bn.weight + part.bn.bn.bias).relu()
    return rows


def slow_abstraction(module, points, features):
    """Point by point, from the equation."""
    centers, rows = furthest_points(points, module.count), []
    for b in range(len(points)):
        around = points[b, centers[b]]
        sizes = {"radius": module.radius, "count": module.n_neighbors}
        balls = ball_query(points[b : b + 1], around[None], **sizes)[0]
        for center, ball in zip(around, balls, strict=True):
            for j in ball:
                relative = (points[b, j] - center) / module.radius
                rows.append(torch.cat([relative, features[b, :, j]]))
    rows = slow_layers(torch.stack(rows), module.mlp_module)
    return rows.reshape(len(points), module.count, module.n_neighbors, -1).amax(2).transpose(1, 2)


def compare(outputs, slow, inputs):
    """The same values, and the same gradients of all inputs."""
    assert_close(outputs, slow)
    weights = torch.randn_like(outputs)
    ours = torch.autograd.grad(outputs, inputs, weights)
    for gradient, other in zip(ours, torch.autograd.grad(slow, inputs, weights), strict=True):
        assert_close(gradient, other)
        assert gradient.any()


def test_abstraction_is_the_equation_with_its_gradients():
    module, (points, features) = layer(), scenes()
    inputs = [points.requires_grad_(), features.requires_grad_(), *module.parameters()]
    found = module(points, features)
    compare(found.features, slow_abstraction(module, points, features), inputs)
    assert torch.equal(found.index, furthest_points(points, 6))
    assert torch.equal(found.points[1], points[1, found.index[1]])


def test_gradients_agree_with_finite_differences():
    module, (points, features) = layer(channels=(3,)), scenes(12)
    index = furthest_points(points, 6)
    for tensor in (points, features):
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, f: module(p, f, index).features, (points, features), atol=1e-4
    )


def test_chosen_centers_take_the_place_of_furthest_points():
    module, (points, features) = layer().eval(), scenes()
    own = module(points, features)
    order = torch.tensor([4, 2, 2, 0])
    chosen = module(points, features, own.index[:, order].int())
    assert_close(chosen.features, own.features[:, :, order])
    assert torch.equal(chosen.index, own.index[:, order])


def test_points_alone():
    module, (points, _) = layer(0).eval(), scenes()
    assert module(points).features.shape == (2, 4, 6)
    alone = layer(0, count=1, n_neighbors=3).eval()
    assert alone(points[:, :1]).index.tolist() == [[0], [0]]


def test_a_shift_changes_nothing_and_a_scene_does_not_see_another():
    module, (points, features) = layer().eval(), scenes()
    points = (points * 64).round() / 64
    out = module(points, features).features
    assert_close(module(points + 32, features).features, out)
    assert_close(module(points[1:], features[1:]).features, out[1:])


def test_propagation_is_the_equation_with_its_gradients():
    module = FeaturePropagation(5, [6, 4]).double()
    (points, features), (known, known_features) = scenes(9), scenes(5, 3)
    known = known + 0.5
    distances, ids = three_nearest(points, known)
    for tensor in (features, known_features):
        tensor.requires_grad_()
    rows = []
    for b, i in torch.cartesian_prod(torch.arange(2), torch.arange(9)):
        weights = 1 / (distances[b, i] + 1e-8)
        carried = known_features[b][:, ids[b, i]] @ (weights / weights.sum())
        rows.append(torch.cat([carried, features[b, :, i]]))
    slow = slow_layers(torch.stack(rows), module.mlp).reshape(2, 9, 4).transpose(1, 2)
    inputs = [features, known_features, *module.parameters()]
    compare(module(points, known, features, known_features), slow, inputs)


def test_propagation_without_own_features():
    module, (points, features) = FeaturePropagation(2, [3]).double().eval(), scenes()
    assert module(points, points[:, :3], None, features[:, :, :3]).shape == (2, 3, 40)


def test_first_weights_are_normal_with_variance_two_over_the_inputs():
    weights = FeaturePropagation(200, [400]).mlp.layer0.conv.weight
    assert abs(weights.std() / 0.1 - 1) < 0.02  # of 80,000 values
    assert abs(weights.mean()) < 0.002


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"n_channels": -1}, "in_channels must be at least 0, got -1"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"n_neighbors": 0}, "n_neighbors must be at least 1, got 0"),
        ({"radius": 0.0}, "radius must be above 0 and finite, got 0.0"),
        ({"radius": torch.inf}, "radius must be above 0 and finite, got inf"),
        ({"channels": ()}, r"channels must be some numbers of at least 1, got \[5\]"),
        ({"channels": (3, 0)}, r"channels must be some numbers of at least 1, got \[5, 3, 0\]"),
    ],
)
def test_sizes_out_of_range_are_refused(change, problem):
    with pytest.raises(ValueError, match=problem):
        layer(**change)


POINTS, FEATURES = scenes()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((POINTS[:, :5], FEATURES[:, :, :5]), "points must hold at least 6 a scene, .* got 5"),
        ((POINTS,), "features must have 2 channels, got 0"),
        ((POINTS, FEATURES[:, :1]), "features must have 2 channels, got 1"),
        ((POINTS, FEATURES[:, :, :9]), r"features must have shape \(b, c, n\) with .*n = 40"),
        ((POINTS * torch.nan, FEATURES), "points must be finite"),
        ((POINTS, FEATURES, torch.zeros(2, 0).long()), "index must hold at least one a scene"),
        ((POINTS, FEATURES, torch.full((2, 1), 40)), r"ids must lie in \[0, 40\), got \[40, 40\]"),
    ],
)
def test_abstraction_rejects(arguments, problem):
    forward = checked(inspect.unwrap(SetAbstraction.forward))  # without its type checker
    with pytest.raises(ValueError, match=problem):
        forward(layer(), *arguments)


@pytest.mark.parametrize(
    ("n_known", "n_channels", "problem"),
    [
        (2, 2, "known must hold at least 3 points a scene, got 2"),
        (3, 1, "features and known_features must have 4 channels, got 3"),
    ],
)
def test_propagation_rejects(n_known, n_channels, problem):
    module = FeaturePropagation(4, [3]).double()
    known = POINTS[:, :n_known], FEATURES, FEATURES[:, :n_channels, :n_known]
    with pytest.raises(ValueError, match=problem):
        module(POINTS, *known)
    with pytest.raises(ValueError, match="points must hold at least one a scene, got none"):
        module(POINTS[:, :0], POINTS, FEATURES[:, :, :0], FEATURES)
