"""Residual sparse U-Nets with four levels of down-sampling (Res16UNet, SR-UNet, MinkUNet).

Choy et al., "4D Spatio-Temporal ConvNets", CVPR 2019; Xie et al., "PointContrast", ECCV 2020,
and Hou et al., "Contrastive Scene Contexts", CVPR 2021, pre-train the 34C. Layer names, kernel
shapes, initialisation and batch-norm momenta are those of the published models.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from torch import nn

from pcl_backbones.checkpointing import Checkpointable
from pcl_backbones.sparse import BatchNorm, Conv3d, ConvNorm, ConvTranspose3d, cat, conv_norm
from pcl_backbones.sparse_tensor import SparseTensor, in_raster_order

STEM_CHANNELS = 32


def scaled(channels: Iterable[int], width: float) -> list[int]:
    """Channel counts times `width`, each at least 1.

    Raises:
        ValueError: if width is not above 0.
    """
    if not 0 < width < float("inf"):
        raise ValueError(f"width must be above 0 and finite, got {width}")
    return [max(1, round(count * width)) for count in channels]


class BasicBlock(Checkpointable):
    """Two 3x3x3 convolutions and a shortcut; batch norms keep torch's momentum of 0.1."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, out_channels, 3)
        self.norm1 = BatchNorm(out_channels)
        self.conv2 = Conv3d(out_channels, out_channels, 3)
        self.norm2 = BatchNorm(out_channels)
        self.downsample = None
        if in_channels != out_channels:
            conv = Conv3d(in_channels, out_channels, 1)
            self.downsample = ConvNorm(conv, BatchNorm(out_channels), relu=False)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features of out_channels on the same voxels."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = conv_norm(self.conv1, self.norm1, x)
        return conv_norm(self.conv2, self.norm2, out, shortcut=shortcut)


class Res16UNet(nn.Module):
    """The U-Net that the sized classes below fill in; the total stride is 16.

    Args:
        in_channels: channels of the input, 3 for colour.
        out_channels: channels of the last layer; None leaves it out.
        width: factor on every inner channel count; 1 is the published network.
        bn_momentum: of the batch norms outside residual blocks (CSC: 0.05 in pre-training, 0.02
            after it).

    Attributes:
        feature_channels: channels of `features(x)`, 96 at width 1.
        level_channels: channels of each stride of `decoder_levels(x)`.

    Raises:
        ValueError: if width is not above 0.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> network = Res16UNet14A(3, 20, width=0.25).eval()
        >>> network(SparseTensor(coords, torch.ones(2, 3)))
        SparseTensor(2 voxels, 20 channels, stride 1)
    """

    PLANES: ClassVar[tuple[int, ...]]
    LAYERS: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None,
        *,
        width: float = 1.0,
        bn_momentum: float = 0.02,
    ) -> None:
        super().__init__()
        stem, *planes = scaled((STEM_CHANNELS, *self.PLANES), width)
        self.feature_channels = planes[-1]
        self.level_channels = dict(zip((16, 8, 4, 2, 1), planes[3:], strict=True))
        self.conv0p1s1 = Conv3d(in_channels, stem, 3)
        self.bn0 = BatchNorm(stem, momentum=bn_momentum)

        channels, skips = stem, [stem, *planes[:3]]
        for i, name in enumerate(_DOWN):
            self.add_module(name, Conv3d(channels, channels, 2, stride=2))
            self.add_module(f"bn{i + 1}", BatchNorm(channels, momentum=bn_momentum))
            self.add_module(f"block{i + 1}", residual_blocks(channels, planes[i], self.LAYERS[i]))
            channels = planes[i]
        for i, name in enumerate(_UP, start=4):
            self.add_module(name, ConvTranspose3d(channels, planes[i], 2, stride=2))
            self.add_module(f"bntr{i}", BatchNorm(planes[i], momentum=bn_momentum))
            joined = planes[i] + skips[7 - i]
            self.add_module(f"block{i + 1}", residual_blocks(joined, planes[i], self.LAYERS[i]))
            channels = planes[i]
        self.final = None if out_channels is None else Conv3d(channels, out_channels, 1, bias=True)

    def features(self, x: SparseTensor) -> SparseTensor:
        """Features before the last layer, rows in the order given."""
        out, restore = in_raster_order(x)
        for level in self.decoder_levels(out):
            out = level
        return x.with_features(out.features if restore is None else out.features[restore])

    def decoder_levels(self, x: SparseTensor) -> Iterator[SparseTensor]:
        """Features of stride 16, 8, 4, 2 and 1 in turn, rows in raster order.

        A level is computed when it is asked for, so who stops early pays for no finer one.
        """
        out, _ = in_raster_order(x)
        out = conv_norm(self.conv0p1s1, self.bn0, out)
        skips = []
        for i, name in enumerate(_DOWN, start=1):
            skips.append(out)
            out = self._stage(out, name, f"bn{i}")
            out = self.get_submodule(f"block{i}")(out)
        yield out
        for i, name in enumerate(_UP, start=4):
            out = cat([self._stage(out, name, f"bntr{i}"), skips.pop()])
            out = self.get_submodule(f"block{i + 1}")(out)
            yield out

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Outputs of the last layer (or features, without one), rows in the order given."""
        features = self.features(x)
        return features if self.final is None else self.final(features)

    def _stage(self, x: SparseTensor, conv_name: str, norm_name: str) -> SparseTensor:
        conv, norm = self.get_submodule(conv_name), self.get_submodule(norm_name)
        assert isinstance(conv, Conv3d | ConvTranspose3d)  # as __init__ makes them
        assert isinstance(norm, BatchNorm)
        return conv_norm(conv, norm, x)


class Res16UNet14A(Res16UNet):
    """One block a level; see `Res16UNet`."""

    PLANES = (32, 64, 128, 256, 128, 128, 96, 96)
    LAYERS = (1,) * 8


class MinkUNet14A(Res16UNet14A):
    """Res16UNet14A with two heads, as CLIP2Scene (Chen et al., CVPR 2023) distils CLIP into it.

    Args:
        in_channels: channels of the input, 3 for colour.
        out_channels: of either head, 512 for CLIP's ViT-B.
        width: factor on every inner channel count.
        bn_momentum: of the batch norms outside residual blocks.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> network = MinkUNet14A(3, 512, width=0.25).eval()
        >>> semantic, local = network(SparseTensor(coords, torch.ones(2, 3)))
        >>> semantic, local.features.shape
        (SparseTensor(2 voxels, 512 channels, stride 1), torch.Size([2, 512]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 512,
        *,
        width: float = 1.0,
        bn_momentum: float = 0.02,
    ) -> None:
        super().__init__(in_channels, None, width=width, bn_momentum=bn_momentum)
        self.final = Conv3d(self.feature_channels, out_channels, 1, bias=True)
        self.local_feature = Conv3d(self.feature_channels, out_channels, 1, bias=True)

    def forward(self, x: SparseTensor) -> tuple[SparseTensor, SparseTensor]:  # type: ignore[override]
        """Semantic and local features, compared with text and with pixels."""
        assert self.final is not None  # made above
        features = self.features(x)
        return self.final(features), self.local_feature(features)


class Res16UNet18A(Res16UNet):
    """Two blocks a level; see `Res16UNet`."""

    PLANES = (32, 64, 128, 256, 128, 128, 96, 96)
    LAYERS = (2,) * 8


class Res16UNet34C(Res16UNet):
    """The network of PointContrast, CSC and TWIST; see `Res16UNet`."""

    PLANES = (32, 64, 128, 256, 256, 128, 96, 96)
    LAYERS = (2, 3, 4, 6, 2, 2, 2, 2)


_DOWN = ("conv1p1s2", "conv2p2s2", "conv3p4s2", "conv4p8s2")
_UP = ("convtr4p16s2", "convtr5p8s2", "convtr6p4s2", "convtr7p2s2")


def residual_blocks(in_channels: int, out_channels: int, n_blocks: int) -> nn.Sequential:
    """Blocks in a row; the first changes the channels."""
    rest = (BasicBlock(out_channels, out_channels) for _ in range(n_blocks - 1))
    return nn.Sequential(BasicBlock(in_channels, out_channels), *rest)
