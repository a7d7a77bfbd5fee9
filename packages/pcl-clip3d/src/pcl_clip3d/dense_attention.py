r"""The last block of CLIP's image transformer, read so that every patch speaks for itself.

CLIP trains the class token only: what its last block mixes into the patches is global. Each
function here replaces that block; nothing is trained. All have the form `(block, tokens, grid)`:
the block of open_clip, its input of shape (b, 1 + patches, c) with the class token first, and the
number of patches down and across. Written x for the tokens, q, k, v for queries, keys and values
of `ln_1(x)` a head, s for one over the square root of their width, P for `out_proj` of the joined
heads, and M(y) = y + MLP(ln_2(y)) for what follows the attention:

| function | the block | source |
|---|---|---|
| `own` | M(x + P softmax(s q k') v) | CLIP |
| `identity` | M(x + P v) | MaskCLIP |
| `sclip` | M(x + P [softmax(s q q') + softmax(s k k')] v) | SCLIP |
| `clearclip` | P softmax(s q q') v | ClearCLIP |
| `naclip` | P softmax(s k k' + w) v | NACLIP |

Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022; Wang et al., "SCLIP",
ECCV 2024; Lan et al., "ClearCLIP", ECCV 2024; Hajimiri et al., "Pay Attention to Your Neighbours"
(NACLIP), WACV 2025. A block's layer scale, which CLIP's own models do not have, is kept.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

NEIGHBOR_STD = 5.0
"""Standard deviation of NACLIP's window, patches; the value of the paper."""


def own(
    block: nn.Module, tokens: Float[Tensor, "b l c"], grid: tuple[int, int]
) -> Float[Tensor, "b l c"]:
    """The block as CLIP has it."""
    return block(tokens)


def identity(
    block: nn.Module, tokens: Float[Tensor, "b l c"], grid: tuple[int, int]
) -> Float[Tensor, "b l c"]:
    """M(x + P v): the value path of MaskCLIP, sec. 3.3.

    The block with the identity matrix in the place of its attention. The text of the paper has the
    value and the last linear layer only; its published code keeps the residual and the MLP.
    """
    *_, values = _heads(block, tokens)
    return _feed_forward(block, tokens + _join(block, values))


def sclip(
    block: nn.Module, tokens: Float[Tensor, "b l c"], grid: tuple[int, int]
) -> Float[Tensor, "b l c"]:
    """M(x + P [softmax(s q q') + softmax(s k k')] v): correlative self-attention, SCLIP, sec. 3.2.

    A row of the sum has weight two, as published.
    """
    queries, keys, values = _heads(block, tokens)
    weights = _similarity(queries).softmax(-1) + _similarity(keys).softmax(-1)
    return _feed_forward(block, tokens + _join(block, weights @ values))


def clearclip(
    block: nn.Module, tokens: Float[Tensor, "b l c"], grid: tuple[int, int]
) -> Float[Tensor, "b l c"]:
    """P softmax(s q q') v: no residual, no MLP, query-query attention, ClearCLIP, sec. 3."""
    queries, _, values = _heads(block, tokens)
    return _join(block, _similarity(queries).softmax(-1) @ values)


def naclip(
    block: nn.Module, tokens: Float[Tensor, "b l c"], grid: tuple[int, int]
) -> Float[Tensor, "b l c"]:
    r"""P softmax(s k k' + w) v: keys that are alike and near, no residual, no MLP, NACLIP, sec. 3.

    .. math:: w_{pp'} = \exp\Big(-\frac{|p - p'|^2}{2 \sigma^2}\Big)

    between the places p of two patches on the grid, with sigma = 5 patches; 0 from and to the
    class token.
    """
    _, keys, values = _heads(block, tokens)
    window = functional.pad(neighbor_window(grid).to(tokens), (1, 0, 1, 0))  # (l, l)
    return _join(block, (_similarity(keys) + window).softmax(-1) @ values)


def neighbor_window(
    grid: tuple[int, int], std: float | int = NEIGHBOR_STD
) -> Float[Tensor, "cells cells"]:
    """The Gaussian of the distance of any two cells of a grid; 1 on the diagonal.

    Example:
        >>> neighbor_window((1, 2), std=1)
        tensor([[1.0000, 0.6065],
                [0.6065, 1.0000]])
    """
    places = torch.cartesian_prod(*(torch.arange(float(side)) for side in grid))
    return torch.exp(-torch.cdist(places, places).square() / (2 * std**2))


def block_keys(block: nn.Module, tokens: Float[Tensor, "b l c"]) -> Float[Tensor, "b l c"]:
    """The keys of the block's attention, through `out_proj` as in the code of MaskCLIP."""
    _, keys, _ = _heads(block, tokens)
    return block.attn.out_proj(keys.transpose(1, 2).flatten(2))


def _heads(
    block: nn.Module, tokens: Float[Tensor, "b l c"]
) -> tuple[Float[Tensor, "b heads l e"], ...]:
    """Queries, keys and values."""
    attention = block.attn
    joined = functional.linear(
        block.ln_1(tokens), attention.in_proj_weight, attention.in_proj_bias
    )  # (b, l, 3 c)
    return joined.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def _similarity(rows: Float[Tensor, "b heads l e"]) -> Float[Tensor, "b heads l l"]:
    return rows @ rows.mT * rows.shape[-1] ** -0.5


def _join(block: nn.Module, rows: Float[Tensor, "b heads l e"]) -> Float[Tensor, "b l c"]:
    return block.ls_1(block.attn.out_proj(rows.transpose(1, 2).flatten(2)))


def _feed_forward(block: nn.Module, tokens: Float[Tensor, "b l c"]) -> Float[Tensor, "b l c"]:
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
