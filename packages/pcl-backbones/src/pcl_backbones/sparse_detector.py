"""A one-stage detector without anchors, votes or sampling on a sparse U-Net.

Rukhovich et al., "FCAF3D: Fully Convolutional Anchor-Free 3D Object Detection", ECCV 2022, and
"TR3D: Towards Real-Time Indoor 3D Object Detection", ICIP 2023, whose head this is: every voxel of
two levels predicts class logits and one box, by layers that the levels share. There is no
centre-ness, as in TR3D. Where we depart:

- The locations are the occupied voxels of the U-Net's own decoder, so that its pre-trained weights
  are used; TR3D's generative up-sampling adds empty neighbours. A location is the centre of its
  voxel; TR3D takes the corner.
- Heading. FCAF3D (sec. 3.3) regresses ln(w / l) (sin 2 theta, cos 2 theta), which says nothing of
  the heading of a square box. We regress (sin 2 theta, cos 2 theta) beside the three sizes, so
  the heading is known up to half a turn, which no overlap of boxes can tell.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pcl_backbones.sparse import BatchNorm, Conv3d, ConvNorm
from pcl_backbones.sparse_tensor import SparseTensor

PRIOR = 0.01  # probability of every class at the start, as in focal loss's paper
LOG_SIZE_LIMIT = 7.0  # boxes from 1 mm to 1 km


class LocationPredictions(NamedTuple):
    """What a detector says at each of its locations, of all levels and scenes.

    Attributes:
        locations: centres of voxels, metres.
        cell_sizes: edges of these voxels, metres.
        scene: scene of each row.
        logits: of each class; a sigmoid makes them probabilities.
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise, in [-pi / 2, pi / 2]; 0 without `has_heading`).
        has_heading: whether the heading is predicted.
    """

    locations: Float[Tensor, "v 3"]
    cell_sizes: Float[Tensor, " v"]
    scene: Int64[Tensor, " v"]
    logits: Float[Tensor, "v c"]
    boxes: Float[Tensor, "v 7"]
    has_heading: bool


class BoxCandidates(NamedTuple):
    """Boxes of a scene before suppression, most confident first.

    Attributes:
        boxes: as in `LocationPredictions`.
        probabilities: of each class, independent of each other, in [0, 1].
    """

    boxes: Float[Tensor, "k 7"]
    probabilities: Float[Tensor, "k c"]


class SparseDetector(nn.Module):
    """Class logits and a box at every voxel of some levels of a backbone.

    Levels come from `backbone.decoder_levels` where there is one (`Res16UNet*`), and finer ones
    than asked for are not computed: their parameters stay as loaded and get no gradient. Coarser
    levels than the backbone has, and all levels of backbones with `features` only, come from
    strided convolutions. Weights of a U-Net load into `detector.backbone`.

    TR3D's levels are cells of 0.16 and 0.32 m on voxels of 0.01 m, the defaults; these strides
    are below the decoder of `Res16UNet*`. The same cells are `strides=(8, 16)` on voxels of 0.02 m
    and `strides=(4, 8)` on 0.04 m, of the decoder; with the latter and
    `Res16UNet14A(3, None, width=0.5)` it trains on a CPU.

    Args:
        backbone: a network of this package made with out_channels=None.
        n_classes: classes of boxes.
        voxel_size: edge of a voxel of stride 1, metres: coords = floor(points / voxel_size).
        strides: of the levels, ascending powers of 2.
        channels: of the features that classes and boxes are read from.
        has_heading: whether boxes turn about z; else they lie along the axes.

    Raises:
        ValueError: if a size is out of range.
        TypeError: if the backbone has no `features` and `feature_channels`.

    Example:
        >>> from pcl_backbones import Res16UNet14A
        >>> backbone = Res16UNet14A(3, None, width=0.125)
        >>> detector = SparseDetector(backbone, 18, voxel_size=0.04, strides=(4, 8)).eval()
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 9, 0, 0]], dtype=torch.int32)
        >>> out = detector(SparseTensor(coords, torch.ones(2, 3)))
        >>> out.cell_sizes.round(decimals=2)
        tensor([0.1600, 0.1600, 0.3200, 0.3200])
        >>> out.locations[1], out.boxes.shape  # 9 lies in [8, 12): (8 + 12) / 2 * 0.04 m
        (tensor([0.4000, 0.0800, 0.0800]), torch.Size([4, 7]))
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_classes: int,
        *,
        voxel_size: float | int = 0.01,
        strides: Sequence[int] = (16, 32),
        channels: int = 128,
        has_heading: bool = False,
    ) -> None:
        super().__init__()
        _check_sizes(n_classes, voxel_size, strides)
        if not (hasattr(backbone, "features") and hasattr(backbone, "feature_channels")):
            name = type(backbone).__name__
            raise TypeError(f"backbone must have features and feature_channels, got {name}")
        self.backbone, self.has_heading = backbone, has_heading
        self.voxel_size, self.strides = voxel_size, tuple(strides)
        widths = dict(getattr(backbone, "level_channels", {1: backbone.feature_channels}))
        self.down = nn.ModuleList()
        while max(widths) < self.strides[-1]:
            top = max(widths)
            self.down.append(_conv_norm(widths[top], channels, 2, stride=2))
            widths[2 * top] = channels
        self.levels = nn.ModuleList(_conv_norm(widths[s], channels, 3) for s in self.strides)
        self.classes = Conv3d(channels, n_classes, 1, bias=True)
        self.box = Conv3d(channels, 8 if has_heading else 6, 1, bias=True)
        self._initialise()

    def forward(self, x: SparseTensor) -> LocationPredictions:
        """Predictions at all locations, the finest level first.

        Raises:
            ValueError: if x has another stride than 1, or other channels than the backbone.
        """
        if x.stride != 1:
            raise ValueError(f"x must have stride 1, got {x.stride}")
        return self._head({level.stride: level for level in self._backbone_levels(x)})

    def _backbone_levels(self, x: SparseTensor) -> Iterator[SparseTensor]:
        """Levels of the wanted strides, and others on the way to them."""
        backbone: Any = self.backbone
        if hasattr(backbone, "decoder_levels"):
            levels = backbone.decoder_levels(x)
        else:
            levels = iter([backbone.features(x)])
        out = coarsest = next(levels)
        yield coarsest
        while out.stride > self.strides[0]:
            out = next(levels)
            yield out
        for down in self.down:
            coarsest = down(coarsest)
            yield coarsest

    def _head(self, found: dict[int, SparseTensor]) -> LocationPredictions:
        """Predictions from the features of each stride."""
        levels = zip(self.levels, self.strides, strict=True)
        parts = [self._predict(layer(found[stride])) for layer, stride in levels]
        rows = (torch.cat(column) for column in zip(*parts, strict=True))
        return LocationPredictions(*rows, has_heading=self.has_heading)

    def _predict(self, level: SparseTensor) -> tuple[Tensor, ...]:
        """Locations, cell sizes, scenes, logits and boxes of one level."""
        regressed = self.box(level).features.float()
        coords, edge = level.coords, level.stride * self.voxel_size
        locations = (coords[:, 1:] + level.stride / 2).to(regressed) * self.voxel_size
        boxes = decode_boxes(locations, regressed)
        cell_sizes = locations.new_full((len(locations),), edge)
        return locations, cell_sizes, coords[:, 0].long(), self.classes(level).features, boxes

    def _initialise(self) -> None:
        """As TR3D: small kernels, rare classes; boxes of 1 m without a turn."""
        for layer, bias in ((self.classes, math.log(PRIOR / (1 - PRIOR))), (self.box, 0.0)):
            assert layer.bias is not None  # made above
            nn.init.normal_(layer.kernel, std=0.01)
            nn.init.constant_(layer.bias, bias)
            if layer is self.box and self.has_heading:
                nn.init.ones_(layer.bias[:, 7])  # cos 2 theta


def decode_boxes(
    locations: Float[Tensor, "v 3"], regressed: Float[Tensor, "v columns"]
) -> Float[Tensor, "v 7"]:
    """Boxes from what is regressed at locations.

    centre = location + t_0..2, sizes = exp(t_3..5), heading = atan2(t_6, t_7) / 2 or 0. The
    distances to two opposite faces are exp(t_3) / 2 -+ t_0, and may be negative: unlike FCAF3D's,
    a location may lie outside its box.

    Args:
        locations: metres.
        regressed: 6 columns, or 8 with a heading.

    Example:
        >>> decode_boxes(torch.ones(1, 3), torch.tensor([[0.5, 0, 0, 0, 0, 0]])).tolist()
        [[1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]]
    """
    heading = locations.new_zeros(len(locations))
    if regressed.shape[1] == 8:
        heading = torch.atan2(regressed[:, 6], regressed[:, 7]) / 2
    sizes = regressed[:, 3:6].clamp(-LOG_SIZE_LIMIT, LOG_SIZE_LIMIT).exp()
    return torch.cat([locations + regressed[:, :3], sizes, heading[:, None]], dim=1)


def box_candidates(
    predictions: LocationPredictions, *, n_candidates: int = 1000
) -> list[BoxCandidates]:
    """The most confident boxes of each scene, for a suppression of overlaps to choose from.

    Confidence is the probability of the likeliest class. TR3D goes on with the classes of at least
    0.01 and suppresses boxes of one class with an IoU above 0.5.

    Args:
        predictions: of a detector.
        n_candidates: boxes of a scene at most, 1000 in TR3D.

    Raises:
        ValueError: if n_candidates is below 1.

    Example:
        >>> boxes, logits = torch.ones(2, 7), torch.tensor([[-1.0, 0], [2, -9]])
        >>> rows = torch.ones(2, 3), torch.ones(2), torch.zeros(2).long(), logits, boxes
        >>> [found] = box_candidates(LocationPredictions(*rows, has_heading=False))
        >>> found.probabilities.round(decimals=2)
        tensor([[0.8800, 0.0000],
                [0.2700, 0.5000]])
    """
    if n_candidates < 1:
        raise ValueError(f"n_candidates must be at least 1, got {n_candidates}")
    probabilities = predictions.logits.float().sigmoid()
    order = probabilities.amax(dim=1).argsort(descending=True, stable=True)
    scene = predictions.scene[order]
    kept = (order[scene == i][:n_candidates] for i in range(int(scene.max()) + 1))
    return [BoxCandidates(predictions.boxes[rows], probabilities[rows]) for rows in kept]


def _conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> ConvNorm:
    conv = Conv3d(in_channels, out_channels, kernel_size, stride)
    return ConvNorm(conv, BatchNorm(out_channels))


def _check_sizes(n_classes: int, voxel_size: float | int, strides: Sequence[int]) -> None:
    if n_classes < 1:
        raise ValueError(f"n_classes must be at least 1, got {n_classes}")
    if not 0 < voxel_size < math.inf:
        raise ValueError(f"voxel_size must be above 0 and finite, got {voxel_size}")
    ascending = list(strides) == sorted(set(strides))
    if not strides or not ascending or any(s < 1 or s & (s - 1) for s in strides):
        raise ValueError(f"strides must be ascending powers of 2, got {tuple(strides)}")
