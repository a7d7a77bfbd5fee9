"""Res16UNet: the sparse residual U-Net of PointContrast and Contrastive Scene Contexts.

Choy et al., "4D Spatio-Temporal ConvNets", CVPR 2019; Hou et al., "Exploring Data-Efficient 3D
Scene Understanding with Contrastive Scene Contexts", CVPR 2021 (SR-UNet-34). Layer names and
kernel shapes are those of the published checkpoints.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pcl_backbones.sparse import BatchNorm, Conv3d, ConvTranspose3d, ReLU, cat
from pcl_backbones.sparse_tensor import SparseTensor

INIT_CHANNELS = 32
DOWN = (("conv1p1s2", "bn1"), ("conv2p2s2", "bn2"), ("conv3p4s2", "bn3"), ("conv4p8s2", "bn4"))
UP = (
    ("convtr4p16s2", "bntr4"),
    ("convtr5p8s2", "bntr5"),
    ("convtr6p4s2", "bntr6"),
    ("convtr7p2s2", "bntr7"),
)


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions with a residual."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, channels, 3)
        self.norm1 = BatchNorm(channels)
        self.conv2 = Conv3d(channels, channels, 3)
        self.norm2 = BatchNorm(channels)
        self.relu = ReLU()
        self.downsample = (
            nn.Sequential(Conv3d(in_channels, channels, 1), BatchNorm(channels))
            if in_channels != channels
            else None
        )

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Apply the block."""
        residual = tensor if self.downsample is None else self.downsample(tensor)
        out = self.relu(self.norm1(self.conv1(tensor)))
        out = self.norm2(self.conv2(out))
        return self.relu(out.with_features(out.features + residual.features))


class Res16UNet(nn.Module):
    """A U-Net of four levels; use `Res16UNet14A`, `Res16UNet18A` or `Res16UNet34C`.

    Args:
        in_channels: columns of the input features.
        out_channels: columns of the output; None leaves out the last layer, so that the output is
            the features of `feature_channels` columns.
        width: factor on all channels, for small machines; 1 is the published network.
        momentum: of the normalisations outside the residual blocks.

    Raises:
        ValueError: if a size is not positive.
    """

    planes: Sequence[int]
    layers: Sequence[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None,
        *,
        width: float = 1.0,
        momentum: float = 0.02,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width must be positive, got {width}")
        planes = [max(1, round(plane * width)) for plane in self.planes]
        stem = max(1, round(INIT_CHANNELS * width))
        self.relu = ReLU()
        self.conv0p1s1 = Conv3d(in_channels, stem, 3)
        self.bn0 = BatchNorm(stem, momentum)
        channels, skips = stem, [stem]
        for level, (conv, norm) in enumerate(DOWN):
            setattr(self, conv, Conv3d(channels, channels, 2, 2))
            setattr(self, norm, BatchNorm(channels, momentum))
            setattr(self, f"block{level + 1}", self._block(channels, planes[level], level))
            channels = planes[level]
            skips.append(channels)
        skips.pop()
        for level, (conv, norm) in enumerate(UP, start=4):
            plane = planes[level]
            setattr(self, conv, ConvTranspose3d(channels, plane, 2, 2))
            setattr(self, norm, BatchNorm(plane, momentum))
            block = self._block(plane + skips.pop(), plane, level)
            setattr(self, f"block{level + 1}", block)
            channels = plane
        self.feature_channels = channels
        self.final = Conv3d(channels, out_channels, 1, bias=True) if out_channels else None

    def _block(self, in_channels: int, channels: int, level: int) -> nn.Sequential:
        rest = [BasicBlock(channels, channels) for _ in range(self.layers[level] - 1)]
        return nn.Sequential(BasicBlock(in_channels, channels), *rest)

    def features(self, tensor: SparseTensor) -> SparseTensor:
        """The features before the last layer, rows in the order given."""
        out = self.relu(self.bn0(self.conv0p1s1(tensor)))
        skips = [out]
        for level, (conv, norm) in enumerate(DOWN):
            out = self.relu(getattr(self, norm)(getattr(self, conv)(out)))
            out = getattr(self, f"block{level + 1}")(out)
            skips.append(out)
        skips.pop()
        for level, (conv, norm) in enumerate(UP, start=4):
            out = self.relu(getattr(self, norm)(getattr(self, conv)(out)))
            out = getattr(self, f"block{level + 1}")(cat([out, skips.pop()]))
        return out

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """The output, rows in the order given."""
        out = self.features(tensor)
        return out if self.final is None else self.final(out)


class Res16UNet14A(Res16UNet):
    """One block a level, 128, 128, 96, 96 channels on the way up."""

    planes = (32, 64, 128, 256, 128, 128, 96, 96)
    layers = (1, 1, 1, 1, 1, 1, 1, 1)


class Res16UNet18A(Res16UNet):
    """Two blocks a level, channels of 14A."""

    planes = (32, 64, 128, 256, 128, 128, 96, 96)
    layers = (2, 2, 2, 2, 2, 2, 2, 2)


class Res16UNet34C(Res16UNet):
    """The network of PointContrast, CSC and TWIST: 37,844,704 parameters before the last layer."""

    planes = (32, 64, 128, 256, 256, 128, 96, 96)
    layers = (2, 3, 4, 6, 2, 2, 2, 2)
