"""Tests of pcl_backbones.heads."""

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import OffsetHead, ProjectionHead, SemanticHead, SparseTensor
from pcl_backbones.testing import surface_scene


def features(n_channels):
    coords = surface_scene(4)
    return SparseTensor(coords, torch.randn(len(coords), n_channels))


def test_semantic_head_is_linear_in_the_features():
    x, head = features(8), SemanticHead(8, 5)
    out = head(x)
    assert_close(out.features, x.features @ head.final.kernel + head.final.bias)
    assert torch.equal(out.coords, x.coords)


def test_semantic_head_of_two_layers_has_a_norm_between():
    x, head = features(8), SemanticHead(8, 5, n_layers=2).eval()
    hidden = x.features @ head.hidden[0].kernel / (1 + 1e-5) ** 0.5
    assert_close(head(x).features, hidden.relu() @ head.final.kernel + head.final.bias)


def test_semantic_head_has_one_layer_or_two():
    with pytest.raises(ValueError, match="n_layers must be 1 or 2, got 3"):
        SemanticHead(8, 5, n_layers=3)


def test_offset_head_is_two_layers_with_a_norm_between():
    x, head = features(8), OffsetHead(8).eval()
    hidden = x.features @ head.offsets_pre.kernel + head.offsets_pre.bias
    hidden = (hidden / (1 + 1e-5) ** 0.5).relu()  # fresh running statistics: mean 0, variance 1
    assert_close(head(x).features, hidden @ head.offsets.kernel + head.offsets.bias)


def test_names_and_sizes_are_the_published_ones():
    assert sum(p.numel() for p in OffsetHead(96).parameters()) == 9_795
    names = {name.rsplit(".", 1)[0] for name in OffsetHead(96).state_dict()}
    assert names == {"offsets_pre", "bntr_offset.bn", "offsets"}
    assert set(SemanticHead(96, 20).state_dict()) == {"final.kernel", "final.bias"}


def test_projection_is_two_linear_layers_with_a_relu_between():
    head, rows = ProjectionHead(4, 3, 5), torch.randn(7, 4)
    weight_1, bias_1, weight_2, bias_2 = head.parameters()
    assert weight_1.shape == (5, 4)
    assert_close(head(rows), (rows @ weight_1.T + bias_1).relu() @ weight_2.T + bias_2)


def test_projection_hides_as_many_channels_as_it_takes():
    weights = [p for p in ProjectionHead(6).parameters() if p.ndim == 2]
    assert [tuple(p.shape) for p in weights] == [(6, 6), (128, 6)]
    assert ProjectionHead(6)(torch.zeros(0, 6)).shape == (0, 128)


@pytest.mark.parametrize(("sizes", "name"), [((0,), "in"), ((3, 0), "out"), ((3, 3, 0), "hidden")])
def test_projection_sizes_are_at_least_one(sizes, name):
    with pytest.raises(ValueError, match=f"{name}_channels must be at least 1, got 0"):
        ProjectionHead(*sizes)
