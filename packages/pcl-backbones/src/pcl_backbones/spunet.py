"""The sparse U-Net of Pointcept (SpUNet), under its layer names.

Architecture of SpUNet-v1m1 in Pointcept (github.com/Pointcept/Pointcept), itself after Choy et al.,
"4D Spatio-Temporal ConvNets", CVPR 2019. It differs from `Res16UNet` in that its strided
convolutions change the channels, its stem has 5x5x5 slots, and its norms have another epsilon.
"""

from collections import OrderedDict

from torch import nn

from pcl_backbones.checkpointing import Checkpointable
from pcl_backbones.res16unet import STEM_CHANNELS, scaled
from pcl_backbones.sparse import BatchNorm, Conv3d, ConvNorm, ConvTranspose3d, cat, conv_norm
from pcl_backbones.sparse_tensor import SparseTensor, in_raster_order

CHANNELS = (32, 64, 128, 256, 256, 128, 96, 96)
LAYERS = (2, 3, 4, 6, 2, 2, 2, 2)
EPSILON, MOMENTUM = 1e-3, 0.01


class SpUNet(nn.Module):
    """The network of Pointcept's published weights; `load_published_checkpoint` reads them.

    Args:
        in_channels: channels of the input, 6 for colour and normal.
        out_channels: channels of the last layer; None leaves it out.
        width: factor on every inner channel count; 1 is the published network.

    Attributes:
        feature_channels: channels of `features(x)`, 96 at width 1.

    Raises:
        ValueError: if width is not above 0.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> network = SpUNet(6, 20, width=0.25).eval()
        >>> network(SparseTensor(coords, torch.ones(2, 6)))
        SparseTensor(2 voxels, 20 channels, stride 1)
    """

    def __init__(self, in_channels: int, out_channels: int | None, *, width: float = 1.0) -> None:
        super().__init__()
        stem, *channels = scaled((STEM_CHANNELS, *CHANNELS), width)
        self.feature_channels = channels[-1]
        self.conv_input = ConvNorm(Conv3d(in_channels, stem, 5), _norm(stem))
        n_stages = len(CHANNELS) // 2
        skips = [stem, *channels[: n_stages - 1]]
        self.down, self.enc, self.up, self.dec = (nn.ModuleList() for _ in range(4))
        for stage in range(n_stages):
            inside = channels[stage]
            down = Conv3d(skips[stage], inside, 2, stride=2)
            self.down.append(ConvNorm(down, _norm(inside)))
            self.enc.append(_blocks(inside, inside, LAYERS[stage]))
            below, above = channels[-stage - 2], channels[-stage - 1]
            up = ConvTranspose3d(below, above, 2, stride=2)
            self.up.append(ConvNorm(up, _norm(above)))
            self.dec.append(_blocks(above + skips[stage], above, LAYERS[-stage - 1]))
        self.final = None
        if out_channels is not None:
            self.final = Conv3d(channels[-1], out_channels, 1, bias=True)

    def features(self, x: SparseTensor) -> SparseTensor:
        """Features before the last layer, rows in the order given."""
        out, restore = in_raster_order(x)
        out = self.conv_input(out)
        skips = []
        for down, enc in zip(self.down, self.enc, strict=True):
            skips.append(out)
            out = enc(down(out))
        for up, dec in zip(reversed(self.up), reversed(self.dec), strict=True):
            out = dec(cat([up(out), skips.pop()]))
        return x.with_features(out.features if restore is None else out.features[restore])

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Outputs of the last layer (or features, without one), rows in the order given."""
        features = self.features(x)
        return features if self.final is None else self.final(features)


class _Block(Checkpointable):
    """Two 3x3x3 convolutions and a shortcut, `proj`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = nn.Sequential()
        if in_channels != out_channels:
            conv = Conv3d(in_channels, out_channels, 1)
            self.proj = ConvNorm(conv, _norm(out_channels), relu=False)
        self.conv1, self.bn1 = Conv3d(in_channels, out_channels, 3), _norm(out_channels)
        self.conv2, self.bn2 = Conv3d(out_channels, out_channels, 3), _norm(out_channels)

    def forward(self, x: SparseTensor) -> SparseTensor:
        shortcut = self.proj(x)
        out = conv_norm(self.conv1, self.bn1, x)
        return conv_norm(self.conv2, self.bn2, out, shortcut=shortcut)


def _norm(n_channels: int) -> BatchNorm:
    return BatchNorm(n_channels, momentum=MOMENTUM, epsilon=EPSILON)


def _blocks(in_channels: int, out_channels: int, n_blocks: int) -> nn.Sequential:
    blocks = OrderedDict[str, nn.Module](block0=_Block(in_channels, out_channels))
    blocks |= {f"block{i}": _Block(out_channels, out_channels) for i in range(1, n_blocks)}
    return nn.Sequential(blocks)
