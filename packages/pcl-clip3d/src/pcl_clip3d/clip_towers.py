"""The image towers of open_clip, read at every patch instead of at the pooled token.

Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022, sec. 3.3.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pcl_clip3d import dense_attention
from pcl_clip3d.clip_library import import_open_clip

ATTENTIONS: Mapping[str, Callable[[Any, Tensor, tuple[int, int]], Tensor]] = MappingProxyType(
    {
        "identity": dense_attention.identity,
        "sclip": dense_attention.sclip,
        "clearclip": dense_attention.clearclip,
        "naclip": dense_attention.naclip,
        "own": dense_attention.own,
    }
)


class PatchTower:
    """A vision transformer, whose last block is one of `dense_attention`.

    The blocks before it are the model's own, so its activations and norms are too. Then, for each
    patch, `ln_post` and the projection into the space of the texts.
    """

    def __init__(self, visual: Any, attention: str) -> None:
        if visual.attn_pool is not None:
            raise ValueError("model must have a class token, got one with attentional pooling")
        self.visual = visual
        self.attend = ATTENTIONS[attention]
        self.cell: tuple[int, int] = visual.conv1.stride

    def features(self, pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "d a b"]:
        """The projected patches, of length 1."""
        tokens, grid = self._before_last_block(pixels)
        tokens = self.attend(self.visual.transformer.resblocks[-1], tokens, grid)
        return _unit_grid(self.visual.ln_post(tokens[0, 1:]) @ self.visual.proj, grid)

    def keys(self, pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "k a b"]:
        """The keys of the last block, of length 1."""
        tokens, grid = self._before_last_block(pixels)
        keys = dense_attention.block_keys(self.visual.transformer.resblocks[-1], tokens)
        return _unit_grid(keys[0, 1:], grid)

    def _before_last_block(
        self, pixels: Float[Tensor, "1 3 h w"]
    ) -> tuple[Float[Tensor, "1 l c"], tuple[int, int]]:
        visual = self.visual
        patches = visual.conv1(pixels)  # (1, c, a, b)
        grid = (patches.shape[2], patches.shape[3])
        patches = patches.flatten(2).mT  # (1, a b, c)
        tokens = torch.cat([visual.class_embedding.expand(1, 1, -1), patches], dim=1)
        tokens = tokens + resized_positions(visual.positional_embedding, visual.grid_size, grid)
        tokens = visual.ln_pre(visual.patch_dropout(tokens))
        for block in visual.transformer.resblocks[:-1]:
            tokens = block(tokens)
        return tokens, grid


class ConvolutionTower:
    """A ResNet of CLIP, whose attention pooling gives each cell its own value.

    The projections of values and of the result act as 1x1 convolutions; there are no positions,
    and no block to which another attention than the identity could belong.
    """

    cell = (32, 32)

    def __init__(self, visual: Any, attention: str) -> None:
        if attention != "identity":
            raise ValueError(f"attention must be 'identity' for a ResNet, got {attention!r}")
        self.visual = visual

    def features(self, pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "d a b"]:
        """The projected values, of length 1."""
        cells, grid = self._before_pooling(pixels)
        pool = self.visual.attnpool
        return _unit_grid(pool.c_proj(pool.v_proj(cells)), grid)

    def keys(self, pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "k a b"]:
        """The keys of the attention pooling, of length 1."""
        cells, grid = self._before_pooling(pixels)
        return _unit_grid(self.visual.attnpool.k_proj(cells), grid)

    def _before_pooling(
        self, pixels: Float[Tensor, "1 3 h w"]
    ) -> tuple[Float[Tensor, "cells c"], tuple[int, int]]:
        visual = self.visual
        for part in (visual.stem, visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            pixels = part(pixels)
        return pixels[0].flatten(1).T, (pixels.shape[2], pixels.shape[3])


def image_tower(visual: Any, attention: str) -> PatchTower | ConvolutionTower:
    """The tower of a model, by its class.

    Raises:
        ValueError: if the attention has no such name or the tower is neither a vision transformer
            with a class token nor a ResNet of open_clip, such as one of timm.
    """
    if attention not in ATTENTIONS:
        raise ValueError(f"attention must be one of {list(ATTENTIONS)}, got {attention!r}")
    library = import_open_clip()
    if isinstance(visual, library.modified_resnet.ModifiedResNet):
        return ConvolutionTower(visual, attention)
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", [None])
    if isinstance(blocks[-1], library.transformer.ResidualAttentionBlock):
        return PatchTower(visual, attention)
    got = f"{type(visual).__name__} with blocks of {type(blocks[-1]).__name__}"
    raise ValueError(f"model must have a ViT or a ResNet of open_clip for images, got {got}")


def resized_positions(
    positions: Float[Tensor, "l c"], old: tuple[int, int], new: tuple[int, int]
) -> Float[Tensor, "m c"]:
    """Embeddings of the places of another grid, bicubic between the old ones.

    The first row, of the class token, stays.

    Example:
        >>> import torch
        >>> resized_positions(torch.ones(5, 8), (2, 2), (3, 4)).shape
        torch.Size([13, 8])
    """
    if old == new:
        return positions
    table = positions[1:].T.unflatten(1, old)[None]  # (1, c, old)
    table = functional.interpolate(table.float(), new, mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], table[0].flatten(1).T.to(positions)])


def _unit_grid(rows: Float[Tensor, "cells c"], grid: tuple[int, int]) -> Float[Tensor, "c a b"]:
    return functional.normalize(rows.float(), dim=1).T.unflatten(1, grid)
