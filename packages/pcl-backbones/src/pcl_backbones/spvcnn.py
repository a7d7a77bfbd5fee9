"""SPVCNN: a sparse U-Net beside a branch of plain point-wise layers at full resolution.

Tang et al., "Searching Efficient 3D Architectures with Sparse Point-Voxel Convolution", ECCV
2020; CLIP2Scene (Chen et al., CVPR 2023) distils CLIP into it. Three times the branches meet: the
voxels are interpolated at the points, and the mean of the points goes back to the voxels. Points
are the voxels of the input, as in CLIP2Scene's code.
"""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcl_backbones.coordinates import kernel_offsets, pack
from pcl_backbones.res16unet import residual_blocks, scaled
from pcl_backbones.sparse import BatchNorm, Conv3d, ConvNorm, ConvTranspose3d, cat
from pcl_backbones.sparse_tensor import SparseTensor, in_raster_order

STEM_CHANNELS, PLANES = 32, (32, 64, 128, 256, 256, 128, 96, 96)


class SPVCNN(nn.Module):
    """The network of SPVNAS and CLIP2Scene for LiDAR; the total stride is 16.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the last layer; None leaves it out.
        width: factor on every inner channel count; 1 is the published network.
        bn_momentum: of the batch norms outside residual blocks and the point branch.
        dropout: share of features that training drops where the branches meet.

    Attributes:
        feature_channels: channels of `features(x)`, 480 at width 1.

    Raises:
        ValueError: if width is not above 0.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> network = SPVCNN(4, 16, width=0.25).eval()
        >>> network(SparseTensor(coords, torch.ones(2, 4)))
        SparseTensor(2 voxels, 16 channels, stride 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None,
        *,
        width: float = 1.0,
        bn_momentum: float = 0.1,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        stem, *planes = scaled((STEM_CHANNELS, *PLANES), width)
        norm = partial(BatchNorm, momentum=bn_momentum)
        down, up = planes[:4], planes[4:]
        self.stem = nn.Sequential(
            ConvNorm(Conv3d(in_channels, stem, 3), norm(stem)),
            ConvNorm(Conv3d(stem, stem, 3), norm(stem)),
        )
        self.down, self.enc, self.up, self.dec = (nn.ModuleList() for _ in range(4))
        channels, skips = stem, [stem, *down[:3]]
        for count in down:
            self.down.append(ConvNorm(Conv3d(channels, channels, 2, stride=2), norm(channels)))
            self.enc.append(residual_blocks(channels, count, 2))
            channels = count
        for count, skip in zip(up, reversed(skips), strict=True):
            self.up.append(ConvNorm(ConvTranspose3d(channels, count, 2, stride=2), norm(count)))
            self.dec.append(residual_blocks(count + skip, count, 2))
            channels = count
        meeting = (stem, down[-1], up[1], up[3])
        self.point_layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU())
            for before, after in pairwise(meeting)
        )
        self.dropout = nn.Dropout(dropout)
        self.feature_channels = sum(meeting[1:])
        self.final = None
        if out_channels is not None:
            self.final = Conv3d(self.feature_channels, out_channels, 1, bias=True)

    def features(self, x: SparseTensor) -> SparseTensor:
        """Features of the three meetings side by side, rows in the order given."""
        fine, restore = in_raster_order(x)
        out = self.stem(fine)
        points, met = out.features, []
        skips = []
        for down, enc in zip(self.down, self.enc, strict=True):
            skips.append(out)
            out = enc(down(out))
        for i, (up, dec) in enumerate(zip(self.up, self.dec, strict=True)):
            if i % 2 == 0:
                link = points_in_voxels(fine, out)
                points = link.interpolate(out.features) + self.point_layers[i // 2](points)
                met.append(points)
                out = out.with_features(self.dropout(link.mean(points)))
            out = dec(cat([up(out), skips.pop()]))
        met.append(out.features + self.point_layers[2](points))  # voxels are points here
        rows = torch.cat(met, dim=1)
        return x.with_features(rows if restore is None else rows[restore])

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Outputs of the last layer (or features, without one), rows in the order given."""
        features = self.features(x)
        return features if self.final is None else self.final(features)


class PointsInVoxels(NamedTuple):
    """How fine voxels, taken as points, lie in coarse ones.

    Attributes:
        owner: (n,) the coarse voxel that holds each point.
        corners: (n, 8) the coarse voxels whose origins surround it; that of `owner` for none.
        weights: (n, 8) trilinear, 0 where there is no voxel, each row summing to 1.
    """

    owner: Tensor
    corners: Tensor
    weights: Tensor

    def interpolate(self, coarse: Float[Tensor, "m c"]) -> Float[Tensor, "n c"]:
        """Features of the coarse voxels at the points."""
        weights = self.weights.to(coarse.dtype)
        terms = (coarse[self.corners[:, k]] * weights[:, k, None] for k in range(8))
        return torch.stack(list(terms)).sum(0)

    def mean(self, points: Float[Tensor, "n c"]) -> Float[Tensor, "m c"]:
        """Mean over the points of each coarse voxel; each has one at least."""
        counts = torch.bincount(self.owner)
        sums = points.new_zeros(len(counts), points.shape[1]).index_add(0, self.owner, points)
        return sums / counts[:, None]


def points_in_voxels(fine: SparseTensor, coarse: SparseTensor) -> PointsInVoxels:
    """The trilinear weights of Tang et al. for voxels of two strides of one pass.

    Args:
        fine: the points.
        coarse: made from `fine` by strided convolutions.
    """
    level, step = coarse._cache.levels[coarse.stride], coarse.stride
    coords = fine.coords.long()
    origin = coords.clone()
    origin[:, 1:] -= coords[:, 1:] % step
    along = (coords - origin)[:, 1:] / step  # in [0, 1)
    rows, weights = [], []
    for offset in kernel_offsets(2):
        corner = torch.tensor(offset, device=coords.device)
        wanted = pack(origin + torch.cat([corner.new_zeros(1), corner * step]))
        position = torch.searchsorted(level.sorted_keys, wanted).clamp_(max=len(level.keys) - 1)
        found = level.sorted_keys[position] == wanted
        rows.append(torch.where(found, level.rows(position), -1))
        weights.append(torch.where(corner == 1, along, 1 - along).prod(dim=1) * found)
    owner, corners, of_corners = rows[0], torch.stack(rows, dim=1), torch.stack(weights, dim=1)
    corners = torch.where(corners < 0, owner[:, None], corners)
    return PointsInVoxels(owner, corners, of_corners / of_corners.sum(dim=1, keepdim=True))
