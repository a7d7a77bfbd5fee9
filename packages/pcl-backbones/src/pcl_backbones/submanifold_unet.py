"""The submanifold U-Net of LiDAR segmentation: many levels, few channels.

Graham et al., "3D Semantic Segmentation with Submanifold Sparse Convolutional Networks", CVPR
2018, with one convolution a level (VGG style), as in the SemanticKITTI baseline that Zhang et
al. (SSPL) fine-tune. Each convolution follows its norm and ReLU.
"""

from itertools import pairwise

from torch import nn

from pcl_backbones.checkpointing import Checkpointable
from pcl_backbones.res16unet import scaled
from pcl_backbones.sparse import BatchNorm, Conv3d, ConvTranspose3d, ReLU, cat
from pcl_backbones.sparse_tensor import SparseTensor, in_raster_order

N_LEVELS, CHANNELS_A_LEVEL = 7, 16
EPSILON = 1e-4


class SubmanifoldUNet(nn.Module):
    """Seven levels of 16, 32, ... 112 channels, halved and doubled by strided convolutions.

    Args:
        in_channels: channels of the input, 1 for remission.
        out_channels: channels of the last layer; None leaves it out.
        width: factor on every inner channel count; 1 is the published network.
        bn_momentum: of all batch norms.

    Attributes:
        feature_channels: channels of `features(x)`, 16 at width 1.

    Raises:
        ValueError: if width is not above 0.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> network = SubmanifoldUNet(1, 19).eval()
        >>> network(SparseTensor(coords, torch.ones(2, 1)))
        SparseTensor(2 voxels, 19 channels, stride 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None,
        *,
        width: float = 1.0,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        channels = scaled((CHANNELS_A_LEVEL * (i + 1) for i in range(N_LEVELS)), width)
        self.feature_channels = channels[0]
        self.stem = Conv3d(in_channels, channels[0], 3)
        self.enc, self.down, self.up, self.dec = (nn.ModuleList() for _ in range(4))
        for count, deeper in pairwise(channels):
            self.enc.append(_AfterNorm(count, Conv3d(count, count, 3), bn_momentum))
            self.down.append(_AfterNorm(count, Conv3d(count, deeper, 2, stride=2), bn_momentum))
            up = ConvTranspose3d(deeper, count, 2, stride=2)
            self.up.append(_AfterNorm(deeper, up, bn_momentum))
            self.dec.append(_AfterNorm(2 * count, Conv3d(2 * count, count, 3), bn_momentum))
        deepest = channels[-1]
        self.deepest = _AfterNorm(deepest, Conv3d(deepest, deepest, 3), bn_momentum)
        self.norm = nn.Sequential(_norm(channels[0], bn_momentum), ReLU())
        self.final = None
        if out_channels is not None:
            self.final = Conv3d(channels[0], out_channels, 1, bias=True)

    def features(self, x: SparseTensor) -> SparseTensor:
        """Features before the last layer, rows in the order given."""
        out, restore = in_raster_order(x)
        out = self.stem(out)
        skips = []
        for enc, down in zip(self.enc, self.down, strict=True):
            skips.append(enc(out))
            out = down(skips[-1])
        out = self.deepest(out)
        for up, dec in zip(reversed(self.up), reversed(self.dec), strict=True):
            out = dec(cat([skips.pop(), up(out)]))
        out = self.norm(out)
        return x.with_features(out.features if restore is None else out.features[restore])

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Outputs of the last layer (or features, without one), rows in the order given."""
        features = self.features(x)
        return features if self.final is None else self.final(features)


def _norm(n_channels: int, momentum: float) -> BatchNorm:
    return BatchNorm(n_channels, momentum=momentum, epsilon=EPSILON)


class _AfterNorm(Checkpointable, nn.Sequential):
    def __init__(self, in_channels: int, layer: nn.Module, momentum: float) -> None:
        super().__init__(_norm(in_channels, momentum), ReLU(), layer)
