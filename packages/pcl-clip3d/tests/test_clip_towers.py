"""Tests of pcl_clip3d.clip_towers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from pcl_clip3d.clip_towers import ATTENTIONS, image_tower, resized_positions


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(4))


@torch.no_grad()
def test_with_its_own_attention_a_tower_gives_the_models_tokens(vit, pixels):
    vit.visual.output_tokens = True
    _, tokens = vit.visual(pixels)  # after ln_post
    vit.visual.output_tokens = False
    wanted = functional.normalize(tokens[0] @ vit.visual.proj, dim=1).T.unflatten(1, (4, 4))
    found = image_tower(vit.visual, "own").features(pixels)
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("attention", sorted(ATTENTIONS))
def test_a_cell_is_a_patch_in_reading_order_and_of_length_1(vit, attention):
    pixels = torch.randn(1, 3, 40, 56, generator=torch.Generator().manual_seed(5))
    tower = image_tower(vit.visual, attention)
    found = tower.features(pixels)
    assert found.shape == (24, 5, 7)
    assert_close(found.norm(dim=0), torch.ones(5, 7))
    assert tower.keys(pixels).shape == (64, 5, 7)
    assert_close(tower.keys(pixels).norm(dim=0), torch.ones(5, 7))
    changed = pixels.clone()
    changed[:, :, 16:24, 40:48] += 3  # row 2, column 5
    change = (tower.features(changed) - found).norm(dim=0)
    assert divmod(int(change.argmax()), 7) == (2, 5)


@torch.no_grad()
def test_every_attention_gives_other_features(vit, pixels):
    grids = [image_tower(vit.visual, name).features(pixels) for name in ATTENTIONS]
    for i, grid in enumerate(grids):
        assert all(float((grid - other).abs().max()) > 1e-2 for other in grids[:i])


@torch.no_grad()
def test_patch_dropout_and_absent_norm_are_the_models_own(build, pixels):
    model = build({"patch_dropout": 0.5, "no_ln_pre": True, "pool_type": "avg"})
    tower = image_tower(model.visual, "own")
    wanted = model.visual(pixels)
    tokens, grid = tower._before_last_block(pixels)
    tokens = model.visual.transformer.resblocks[-1](tokens)
    pooled = model.visual.ln_post(tokens)[:, 1:].mean(dim=1) @ model.visual.proj
    assert grid == (4, 4)
    assert_close(pooled, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_resnet_projects_each_cell_by_one_by_one_convolutions(resnet):
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(6))
    (deep,) = resnet.visual.forward_intermediates(pixels, indices=[4], intermediates_only=True)[
        "image_intermediates"
    ]
    pool = resnet.visual.attnpool
    values = functional.conv2d(deep, pool.v_proj.weight[..., None, None], pool.v_proj.bias)
    wanted = functional.conv2d(values, pool.c_proj.weight[..., None, None], pool.c_proj.bias)
    tower = image_tower(resnet.visual, "identity")
    found = tower.features(pixels)
    assert found.shape == (24, 2, 3)
    assert_close(found, functional.normalize(wanted[0], dim=0), rtol=1e-4, atol=1e-5)
    keys = functional.conv2d(deep, pool.k_proj.weight[..., None, None], pool.k_proj.bias)
    assert_close(tower.keys(pixels), functional.normalize(keys[0], dim=0), rtol=1e-4, atol=1e-5)


def test_positions_of_the_same_grid_and_of_the_class_stay():
    table = torch.randn(7, 5)
    assert resized_positions(table, (2, 3), (2, 3)) is table
    assert_close(resized_positions(table, (2, 3), (4, 4))[0], table[0])


@given(st.integers(1, 9), st.integers(1, 9))
def test_resized_positions_keep_rows_and_columns_apart(a, b):
    rows = torch.tensor([[0.0], *([float(i)] for i in range(3) for _ in range(4))])
    found = resized_positions(rows, (3, 4), (a, b))[1:].view(a, b)
    assert_close(found, found[:, :1].expand(a, b))
    assert bool((found.diff(dim=0) > 0).all())


def cubic(x) -> float:
    """The kernel of Keys, 1981, with the slope of -0.75 that image libraries use."""
    x = abs(x)
    if x < 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@pytest.mark.parametrize("length", [3, 7, 16])
def test_positions_between_are_cubic_between(length):
    table = torch.randn(6, 1, generator=torch.Generator().manual_seed(7))
    found = resized_positions(torch.cat([table[:1], table]), (6, 1), (length, 1))[1:, 0]
    for i, value in enumerate(found.tolist()):
        spot = (i + 0.5) * 6 / length - 0.5
        near = range(math.floor(spot) - 1, math.floor(spot) + 3)
        wanted = sum(cubic(spot - j) * float(table[min(max(j, 0), 5)]) for j in near)
        assert value == pytest.approx(wanted, abs=1e-5)


def test_other_towers_and_attentions_are_refused(vit, resnet, build):
    with pytest.raises(ValueError, match=r"attention must be one of \['identity', .*got 'max'"):
        image_tower(vit.visual, "max")
    with pytest.raises(ValueError, match="attention must be 'identity' for a ResNet, got 'sclip'"):
        image_tower(resnet.visual, "sclip")
    with pytest.raises(ValueError, match=r"model must have a ViT or a ResNet of open_clip.*Linear"):
        image_tower(nn.Linear(1, 1), "identity")
    custom = build({"qk_norm": True})
    with pytest.raises(ValueError, match="with blocks of CustomResidualAttentionBlock"):
        image_tower(custom.visual, "identity")
    pooling = build({"attentional_pool": True, "attn_pooler_heads": 1})
    with pytest.raises(ValueError, match="got one with attentional pooling"):
        image_tower(pooling.visual, "identity")
