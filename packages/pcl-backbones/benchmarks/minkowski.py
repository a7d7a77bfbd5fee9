"""Res16UNet built of the real MinkowskiEngine 0.5, under the layer names that both share.

Import it in the environment that `hatch run minkowski:build` makes.
"""

from torch import Tensor, nn

from pcl_backbones.minkowski_engine import Me
from pcl_backbones.res16unet import STEM_CHANNELS, Res16UNet


class Block(nn.Module):
    """The residual block of `pcl_backbones.res16unet.BasicBlock`."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = Me.MinkowskiConvolution(n_in, n_out, 3, dimension=3)
        self.norm1 = Me.MinkowskiBatchNorm(n_out)
        self.conv2 = Me.MinkowskiConvolution(n_out, n_out, 3, dimension=3)
        self.norm2 = Me.MinkowskiBatchNorm(n_out)
        self.relu = Me.MinkowskiReLU(inplace=True)
        self.downsample = None
        if n_in != n_out:
            conv = Me.MinkowskiConvolution(n_in, n_out, 1, dimension=3)
            self.downsample = nn.Sequential(conv, Me.MinkowskiBatchNorm(n_out))

    def forward(self, x):
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class MinkowskiRes16UNet(nn.Module):
    """The layers of a `Res16UNet`, with a copy of its weights."""

    def __init__(self, like: Res16UNet) -> None:
        super().__init__()
        kernel, planes, layers = like.conv0p1s1.kernel, like.PLANES, like.LAYERS
        self.conv0p1s1 = Me.MinkowskiConvolution(kernel.shape[1], STEM_CHANNELS, 3, dimension=3)
        self.bn0 = Me.MinkowskiBatchNorm(STEM_CHANNELS, momentum=0.02)
        self.relu = Me.MinkowskiReLU(inplace=True)
        channels, skips = STEM_CHANNELS, [STEM_CHANNELS, *planes[:3]]
        self.stages = []
        for i in range(8):
            is_down = i < 4
            width = channels if is_down else planes[i]
            kind = Me.MinkowskiConvolution if is_down else Me.MinkowskiConvolutionTranspose
            conv = kind(channels, width, kernel_size=2, stride=2, dimension=3)
            norm = Me.MinkowskiBatchNorm(width, momentum=0.02)
            joined = channels if is_down else planes[i] + skips[7 - i]
            sizes = [(joined, planes[i]), *[(planes[i], planes[i])] * (layers[i] - 1)]
            blocks = nn.Sequential(*(Block(*size) for size in sizes))
            name = f"conv{i + 1}p{2**i}s2" if is_down else f"convtr{i}p{2 ** (8 - i)}s2"
            names = name, f"bn{i + 1}" if is_down else f"bntr{i}", f"block{i + 1}"
            for each, module in zip(names, (conv, norm, blocks), strict=True):
                self.add_module(each, module)
            self.stages.append(names)
            channels = planes[i]
        n_out = like.final.kernel.shape[1]
        self.final = Me.MinkowskiConvolution(channels, n_out, 1, bias=True, dimension=3)
        self.load_state_dict(like.state_dict())

    def forward(self, x):
        out = self.relu(self.bn0(self.conv0p1s1(x)))
        skips = []
        for i, names in enumerate(self.stages):
            conv, norm, blocks = (self.get_submodule(name) for name in names)
            if i < 4:
                skips.append(out)
            out = self.relu(norm(conv(out)))
            out = blocks(out if i < 4 else Me.cat(out, skips.pop()))
        return self.final(out)


def tensor(coords: Tensor, features: Tensor):
    """MinkowskiEngine's sparse tensor."""
    return Me.SparseTensor(features, coordinates=coords)
