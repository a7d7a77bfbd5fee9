"""Correlation of points in a scene and across scenes, by transformers that only training has.

Kang et al., "Hierarchical Intra-modal Correlation Learning for Label-free 3D Semantic
Segmentation", CVPR 2024, sections 3.2 and 3.3. The text describes three layers of the vision
transformer (Dosovitskiy et al., ICLR 2021), the equations a simpler block; both are here.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, scaled_dot_product_attention

from pcl_clip3d.argument_shapes import checked

Block = Literal["vit", "linear"]


class CorrelationTransformer(nn.Module):
    r"""Features of points, each gathered from those that are like it: :math:`\hat f`.

    A layer is a block of the vision transformer without positions, which norms first; or Eq. 3,

    .. math:: \tilde f_m = f_m + \sum_n w_{mn} v_n, \qquad \hat f_m = \tilde f_m +
        \mathrm{Linear}(\tilde f_m)

    with the attention weights :math:`w_{mn}` and the values :math:`v_n`, a linear map of
    :math:`f_n`. The order of points does not matter.

    Args:
        channels: of the features, those of the text.
        n_layers: blocks in a row.
        n_heads: of the attention; they divide the channels.
        block: `vit`, or `linear` for Eq. 3.

    Raises:
        ValueError: if a number is below 1, the heads do not divide the channels, or there is no
            such block.

    Example:
        >>> import torch
        >>> transformer = CorrelationTransformer(16, n_layers=1, n_heads=2)
        >>> transformer(torch.ones(5, 16), torch.tensor([0, 0, 0, 1, 1])).shape
        torch.Size([5, 16])
    """

    def __init__(
        self, channels: int, *, n_layers: int = 3, n_heads: int = 8, block: Block | str = "vit"
    ) -> None:
        super().__init__()
        for name, value in {"channels": channels, "n_layers": n_layers, "n_heads": n_heads}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if channels % n_heads:
            raise ValueError(f"n_heads must divide the {channels} channels, got {n_heads}")
        if block not in _BLOCKS:
            raise ValueError(f"block must be one of {', '.join(_BLOCKS)}, got {block}")
        self.layers = nn.ModuleList(_BLOCKS[block](channels, n_heads) for _ in range(n_layers))

    @checked
    def forward(
        self, features: Float[Tensor, "n d"], groups: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n d"]:
        """The gathered features, rows in the order given.

        Args:
            features: of sampled points.
            groups: the scene of each point, ascending: points see those of their own scene alone
                (intra-scene). None: all see all (inter-scene, Eq. 7).

        Raises:
            ValueError: if groups are not ascending.
        """
        if groups is None or len(groups) == 0:
            return self._one(features)
        if bool((groups.diff() < 0).any()):
            raise ValueError("groups must be ascending, got a smaller one after a larger one")
        counts = groups.unique_consecutive(return_counts=True)[1].tolist()
        return torch.cat([self._one(part) for part in features.split(counts)])

    def _one(self, features: Tensor) -> Tensor:
        for layer in self.layers:
            features = layer(features)
        return features


class _VitBlock(nn.Module):
    """Attention and a layer of four times the width, each on normed rows and added to them."""

    def __init__(self, channels: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        queries, keys, values = self.qkv(self.norm_1(features)).chunk(3, dim=1)
        features = features + self.out(_attend(queries, keys, values, self.n_heads))
        return features + self.mlp(self.norm_2(features))


class _LinearBlock(nn.Module):
    """Eq. 3: attention added to the rows, then a linear map of the sum added to it."""

    def __init__(self, channels: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.linear = nn.Linear(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        queries, keys, values = self.qkv(features).chunk(3, dim=1)
        features = features + _attend(queries, keys, values, self.n_heads)
        return features + self.linear(features)


_BLOCKS: dict[str, type[_VitBlock | _LinearBlock]] = {"vit": _VitBlock, "linear": _LinearBlock}


def _attend(queries: Tensor, keys: Tensor, values: Tensor, n_heads: int) -> Tensor:
    """Each row's mean of the values, weighed by softmax(q k / sqrt(d)) in every head."""
    # With a batch in front, torch takes its fused kernel, on a CPU too.
    q, k, v = (x.unflatten(1, (n_heads, -1)).transpose(0, 1)[None] for x in (queries, keys, values))
    return scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).flatten(1)


@checked
def feedback_distillation(
    features: Float[Tensor, "n d"], gathered: Float[Tensor, "n d"]
) -> Float[Tensor, ""]:
    r"""The loss that gives the network what the transformers know, a scalar (Eq. 8).

    .. math:: L_{kl} = \frac1n \sum_m KL(\mathrm{softmax}(\hat f_m) \,\|\, \mathrm{softmax}(f_m))

    over the channels. The paper leaves open which side is the teacher, and what makes a
    distribution of a feature; as distillation does, the gathered features :math:`\hat f` teach, and
    get no gradient. Logits of classes (`text_logits`) fit as well. The mean over the rows takes the
    place of the sum of the paper, so that the loss does not grow with the sample.

    Args:
        features: of the network.
        gathered: of the transformers.

    Raises:
        ValueError: if there are no rows.

    Example:
        >>> import torch
        >>> rows = torch.rand(4, 8)
        >>> round(
        ...     float(feedback_distillation(rows, rows + 3)), 5
        ... )  # softmax sees no difference
        0.0
    """
    if len(features) == 0:
        raise ValueError("features must have at least one row, got 0")
    student, teacher = log_softmax(features, dim=1), log_softmax(gathered.detach(), dim=1)
    return kl_div(student, teacher, reduction="batchmean", log_target=True).clamp(min=0)
