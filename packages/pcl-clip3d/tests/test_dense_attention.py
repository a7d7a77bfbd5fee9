"""Tests of pcl_clip3d.dense_attention: each function against loops over tokens and heads."""

import math

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from pcl_clip3d import dense_attention

GRID = (2, 3)


@pytest.fixture(params=[False, True], ids=["gelu", "quick_gelu"])
def block(build, request):
    return build(quick_gelu=request.param).visual.transformer.resblocks[-1]


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(1, 7, 64, generator=torch.Generator().manual_seed(2))


def split(block, tokens) -> list[list[list[torch.Tensor]]]:
    """Queries, keys and values: [which][head][token], from the rows of the packed matrix."""
    attention, width = block.attn, tokens.shape[2]
    head = width // attention.num_heads
    parts = []
    for which in range(3):
        heads = []
        for h in range(attention.num_heads):
            rows = slice(which * width + h * head, which * width + (h + 1) * head)
            matrix, bias = attention.in_proj_weight[rows], attention.in_proj_bias[rows]
            heads.append([matrix @ token + bias for token in block.ln_1(tokens[0])])
        parts.append(heads)
    return parts


def softmax(logits) -> list[float]:
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    return [power / sum(powers) for power in powers]


def mix(block, values, weight) -> torch.Tensor:
    """P (weights v), with `weight(head, token)` the weights of a token over all tokens."""
    rows = []
    for token in range(len(values[0])):
        joined = []
        for h, of_head in enumerate(values):
            shares = weight(h, token)
            joined.append(sum(share * v for share, v in zip(shares, of_head, strict=True)))
        rows.append(block.attn.out_proj(torch.cat(joined)))
    return torch.stack(rows)[None]


def like(rows, head, token, scale) -> list[float]:
    return [float(rows[head][token] @ other) * scale for other in rows[head]]


def follow(block, tokens) -> torch.Tensor:
    return tokens + block.mlp(block.ln_2(tokens))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def test_identity_is_the_models_own_block_with_an_identity_matrix_for_its_attention(block, tokens):
    # A mask of minus infinity off the diagonal makes the softmax exactly that.
    mask = torch.full((7, 7), -math.inf).fill_diagonal_(0)
    assert_close(dense_attention.identity(block, tokens, GRID), block(tokens, attn_mask=mask))


def test_own_is_the_models_block(block, tokens):
    queries, keys, values = split(block, tokens)
    scale = len(queries[0][0]) ** -0.5

    def weight(h, token):
        return softmax([float(queries[h][token] @ key) * scale for key in keys[h]])

    wanted = follow(block, tokens + mix(block, values, weight))
    assert_close(dense_attention.own(block, tokens, GRID), wanted, rtol=1e-4, atol=1e-5)


def test_identity_is_its_equation(block, tokens):
    _, _, values = split(block, tokens)

    def weight(h, token):
        return [float(other == token) for other in range(7)]

    wanted = follow(block, tokens + mix(block, values, weight))
    assert_close(dense_attention.identity(block, tokens, GRID), wanted, rtol=1e-4, atol=1e-5)


def test_sclip_is_its_equation(block, tokens):
    queries, keys, values = split(block, tokens)
    scale = len(queries[0][0]) ** -0.5

    def weight(h, token):
        of_queries = softmax(like(queries, h, token, scale))
        of_keys = softmax(like(keys, h, token, scale))
        return [q + k for q, k in zip(of_queries, of_keys, strict=True)]

    wanted = follow(block, tokens + mix(block, values, weight))
    assert_close(dense_attention.sclip(block, tokens, GRID), wanted, rtol=1e-4, atol=1e-5)


def test_clearclip_is_its_equation(block, tokens):
    queries, _, values = split(block, tokens)
    scale = len(queries[0][0]) ** -0.5
    wanted = mix(block, values, lambda h, token: softmax(like(queries, h, token, scale)))
    assert_close(dense_attention.clearclip(block, tokens, GRID), wanted, rtol=1e-4, atol=1e-5)


def test_naclip_is_its_equation(block, tokens):
    _, keys, values = split(block, tokens)
    scale = len(keys[0][0]) ** -0.5
    places = [None, *((row, column) for row in range(2) for column in range(3))]

    def near(a, b):
        if places[a] is None or places[b] is None:
            return 0.0
        return math.exp(-(math.dist(places[a], places[b]) ** 2) / (2 * 5.0**2))

    def weight(h, token):
        logits = like(keys, h, token, scale)
        return softmax([logit + near(token, other) for other, logit in enumerate(logits)])

    wanted = mix(block, values, weight)
    assert_close(dense_attention.naclip(block, tokens, GRID), wanted, rtol=1e-4, atol=1e-5)


def test_a_window_is_one_at_home_symmetric_and_falls_with_distance():
    window = dense_attention.neighbor_window((3, 4), std=2)
    assert_close(window.diagonal(), torch.ones(12))
    assert_close(window, window.T)
    assert_close(window[0].view(3, 4)[2, 3], torch.tensor(math.exp(-(4 + 9) / 8)))


def test_keys_pass_the_output_projection(block, tokens):
    _, keys, _ = split(block, tokens)
    for token in range(7):
        joined = torch.cat([of_head[token] for of_head in keys])
        wanted = block.attn.out_proj(joined)
        found = dense_attention.block_keys(block, tokens)[0, token]
        assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["identity", "sclip", "clearclip", "naclip", "own"])
def test_layer_scale_is_kept_and_batches_are_rows(build, name):
    block = build({"ls_init_value": 0.5}).visual.transformer.resblocks[-1]
    block.ls_1.gamma.data = torch.linspace(0.1, 2, 64)
    attend = getattr(dense_attention, name)
    tokens = torch.randn(2, 7, 64, generator=torch.Generator().manual_seed(3))
    found = attend(block, tokens, GRID)
    for row, one in zip(found, tokens, strict=True):
        assert_close(row, attend(block, one[None], GRID)[0])
    block.ls_1.gamma.data = torch.zeros(64)
    rest = functional.normalize(attend(block, tokens, GRID), dim=-1)
    without = torch.zeros_like(tokens)
    if name in ("identity", "sclip", "own"):
        without = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
    assert_close(rest, functional.normalize(without, dim=-1))
