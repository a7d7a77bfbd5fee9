"""Tests of pcl_backbones.heads."""

import torch
from torch.testing import assert_close

from pcl_backbones import OffsetHead, SemanticHead, SparseTensor
from pcl_backbones.testing import surface_scene


def features(n_channels):
    coords = surface_scene(4)
    return SparseTensor(coords, torch.randn(len(coords), n_channels))


def test_semantic_head_is_linear_in_the_features():
    x, head = features(8), SemanticHead(8, 5)
    out = head(x)
    assert_close(out.features, x.features @ head.final.kernel + head.final.bias)
    assert torch.equal(out.coords, x.coords)


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
