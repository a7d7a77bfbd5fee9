"""Layers on sets of points: features of the balls around centers, and of points between others.

Qi et al., "PointNet++", NeurIPS 2017, as VoteNet uses it (Qi et al., "Deep Hough Voting for 3D
Object Detection in Point Clouds", ICCV 2019), with its names and shapes of parameters and its
initial weights.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_features import gather_features, interpolate_features
from pcl_backbones.point_neighbors import ball_query, three_nearest
from pcl_backbones.point_sampling import furthest_points


class SetFeatures(NamedTuple):
    """Some points of each scene and their features.

    Attributes:
        points: (b, m, 3), world coordinates, metres.
        features: (b, d, m).
        index: (b, m), ids of the points among those of the input.
    """

    points: Float[Tensor, "b m 3"]
    features: Float[Tensor, "b d m"]
    index: Int64[Tensor, "b m"]


class SetAbstraction(nn.Module):
    """Features of the balls around a few centers: Sec. 3.2 of PointNet++.

    max_j h([(p_j - c) / radius, f_j]) over the points j in the ball of center c, where h is a
    shared stack of linear layers, batch norms and ReLUs. Centers are the furthest points.

    Args:
        in_channels: of the features; 0 for points alone.
        channels: of the layers.
        count: centers a scene.
        radius: of the ball, metres.
        n_neighbors: points a ball; `ball_query` fills up the rows of smaller ones.

    Raises:
        ValueError: if a size is below 1 (in_channels: 0), radius not above 0, or no layer given.

    Example:
        >>> layer = SetAbstraction(0, [8, 16], count=4, radius=0.5, n_neighbors=3)
        >>> layer(torch.rand(2, 10, 3)).features.shape
        torch.Size([2, 16, 4])
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        *,
        count: int,
        radius: float | int,
        n_neighbors: int,
    ) -> None:
        super().__init__()
        if in_channels < 0:
            raise ValueError(f"in_channels must be at least 0, got {in_channels}")
        for name, value in (("count", count), ("n_neighbors", n_neighbors)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 < radius < float("inf"):
            raise ValueError(f"radius must be above 0 and finite, got {radius}")
        self.in_channels, self.count = in_channels, count
        self.radius, self.n_neighbors = radius, n_neighbors
        self.mlp_module = _shared_layers(3 + in_channels, channels)

    @checked
    def forward(
        self,
        points: Float[Tensor, "b n 3"],
        features: Float[Tensor, "b c n"] | None = None,
        index: Int[Tensor, "b m"] | None = None,
    ) -> SetFeatures:
        """The centers and the features of their balls.

        Args:
            points: world coordinates, metres.
            features: None where in_channels is 0.
            index: ids of chosen centers in place of the furthest points, one or more.

        Raises:
            ValueError: if there are fewer points than centers, or no center, features do not have
                in_channels, an id is out of range, or points are not finite or 10^18 from zero.
        """
        _check_channels("features", features, self.in_channels)
        if index is None and points.shape[1] < self.count:
            n = points.shape[1]
            raise ValueError(
                f"points must hold at least {self.count} a scene, the centers, got {n}"
            )
        index = furthest_points(points, self.count) if index is None else index.long()
        _check_any("index", index)
        columns = points.transpose(1, 2)
        centers = gather_features(columns, index)  # (b, 3, m)
        around = centers.transpose(1, 2)
        ids = ball_query(points, around, radius=self.radius, count=self.n_neighbors)
        grouped = gather_features(columns, ids)  # (b, 3, m, k)
        grouped = (grouped - centers.unsqueeze(3)) / self.radius
        if features is not None:
            grouped = torch.cat([grouped, gather_features(features, ids)], dim=1)
        return SetFeatures(around, self.mlp_module(grouped).max(dim=3).values, index)


class FeaturePropagation(nn.Module):
    """Features of known points carried to others: Sec. 3.4 of PointNet++.

    h([interpolated, own]), h as in `SetAbstraction`, `interpolate_features` of the three nearest.

    Args:
        in_channels: of the known features and the own ones together.
        channels: of the layers.

    Raises:
        ValueError: if a size is below 1 or no layer given.

    Example:
        >>> layer = FeaturePropagation(5, [8])
        >>> points, features = torch.rand(2, 10, 3), torch.rand(2, 3, 10)
        >>> layer(points, points[:, :4], features, torch.rand(2, 2, 4)).shape
        torch.Size([2, 8, 10])
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.mlp = _shared_layers(in_channels, channels)

    @checked
    def forward(
        self,
        points: Float[Tensor, "b n 3"],
        known: Float[Tensor, "b m 3"],
        features: Float[Tensor, "b c n"] | None,
        known_features: Float[Tensor, "b d m"],
    ) -> Float[Tensor, "b e n"]:
        """Features of the points, (b, channels[-1], n).

        Args:
            points: world coordinates, metres.
            known: positions of the known features, metres; at least three.
            features: the points' own; None if they have none.
            known_features: of the known points.

        Raises:
            ValueError: if there is no point, fewer than three are known, the channels are not
                in_channels together, or positions are not finite or 10^18 from zero.
        """
        _check_any("points", points)
        carried = interpolate_features(known_features, *three_nearest(points, known))
        if features is not None:
            carried = torch.cat([carried, features], dim=1)
        _check_channels("features and known_features", carried, self.in_channels)
        return self.mlp(carried.unsqueeze(3)).squeeze(3)


def _shared_layers(in_channels: int, channels: Sequence[int]) -> nn.Sequential:
    """Linear layers of every point, each with batch norm and ReLU, under the published names."""
    sizes = [in_channels, *channels]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"channels must be some numbers of at least 1, got {sizes}")
    layers = nn.Sequential()
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        conv = nn.Conv2d(n_in, n_out, 1, bias=False)
        nn.init.kaiming_normal_(conv.weight)
        norm = nn.Sequential(OrderedDict(bn=nn.BatchNorm2d(n_out)))
        layer = OrderedDict(conv=conv, bn=norm, activation=nn.ReLU(inplace=True))
        layers.add_module(f"layer{k}", nn.Sequential(layer))
    return layers


def _check_channels(name: str, features: Tensor | None, wanted: int) -> None:
    got = 0 if features is None else features.shape[1]
    if got != wanted:
        raise ValueError(f"{name} must have {wanted} channels, got {got}")


def _check_any(name: str, values: Tensor) -> None:
    if values.shape[1] < 1:
        raise ValueError(f"{name} must hold at least one a scene, got none")
