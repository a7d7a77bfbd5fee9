"""A small sparse encoder that turns each proposal into one vector.

Chu et al., "TWIST", CVPR 2022, Sec. 3.3: the proposal re-correction module has "a small
SparseConv encoder". The paper gives no sizes; three stages of 32, 64 and 128 channels and a
pooled maximum and mean are ours.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pcl_backbones.coordinates import COORD_LIMIT, N_SCENES, pack, unpack
from pcl_backbones.sparse import BatchNorm, Conv3d, GlobalPool, ReLU
from pcl_backbones.sparse_tensor import SparseTensor

FAR = 1e30  # metres: sums over points stay finite in float32


class ProposalEncoder(nn.Module):
    """One vector a proposal, from its mean-centred points and their features.

    Args:
        in_channels: 3 for the centred position, plus the channels of the features.
        out_channels: length of the vector.
        width: channels of the first stage; the others have twice and four times as many.
        voxel_size: edge of a voxel, metres.
        max_grid: voxels along an axis at most; a larger proposal gets larger voxels.

    Raises:
        ValueError: if a size is out of range.

    Example:
        >>> import torch
        >>> encoder = ProposalEncoder(4, out_channels=8, width=4).eval()
        >>> points, features = torch.rand(10, 3), torch.rand(10, 1)
        >>> encoder(points, features, torch.arange(10) % 2, 2).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: int = 128,
        width: int = 32,
        voxel_size: float = 0.02,
        max_grid: int = 64,
    ) -> None:
        super().__init__()
        if in_channels < 3:
            raise ValueError(f"in_channels must be at least 3, got {in_channels}")
        if not 0 < voxel_size < math.inf:
            raise ValueError(f"voxel_size must be above 0 and finite, got {voxel_size}")
        if not 2 <= max_grid < COORD_LIMIT:
            raise ValueError(f"max_grid must lie in [2, {COORD_LIMIT}), got {max_grid}")
        self.in_channels, self.voxel_size, self.max_grid = in_channels, voxel_size, max_grid
        self.stages = nn.Sequential(
            *_stage(in_channels, width, 3, 1),
            *_stage(width, 2 * width, 2, 2),
            *_stage(2 * width, 4 * width, 2, 2),
        )
        self.pools = nn.ModuleList([GlobalPool("max"), GlobalPool("mean")])
        self.linear = nn.Linear(8 * width, out_channels)

    def forward(
        self,
        points: Float[Tensor, "n 3"],
        features: Float[Tensor, "n c"],
        proposal_index: Int[Tensor, " n"],
        n_proposals: int,
    ) -> Float[Tensor, "p d"]:
        """One row a proposal.

        Args:
            points: world coordinates, metres.
            features: of each point; c is in_channels - 3.
            proposal_index: the proposal of each point, in [0, n_proposals).
            n_proposals: how many there are, at most 4096; each holds a point.

        Raises:
            ValueError: if an argument breaks a rule above, or points are not finite or 10^30 from
                zero.
        """
        self._check(points, features, proposal_index, n_proposals)
        order = torch.argsort(proposal_index, stable=True)
        x = self.stages(self._voxels(points[order], features[order], proposal_index[order]))
        return self.linear(torch.cat([pool(x) for pool in self.pools], dim=1))

    def _voxels(self, points: Tensor, features: Tensor, proposal: Tensor) -> SparseTensor:
        """Mean features of the voxels of every proposal's own grid; proposal ascending."""
        lengths = torch.bincount(proposal)
        centred = points - torch.segment_reduce(points, "mean", lengths=lengths)[proposal]
        low, high = (torch.segment_reduce(centred, m, lengths=lengths) for m in ("min", "max"))
        # one cell is left over, because a grid through the mean cuts off a part on either side
        edge = ((high - low).amax(1) / (self.max_grid - 1)).clamp(min=self.voxel_size)
        voxel = (centred / edge[proposal].unsqueeze(1)).floor().int()
        keys = pack(torch.cat([proposal.int().unsqueeze(1), voxel], dim=1))
        keys, order = torch.sort(keys, stable=True)
        keys, lengths = torch.unique_consecutive(keys, return_counts=True)
        rows = torch.cat([centred, features], dim=1)[order]
        return SparseTensor(unpack(keys), torch.segment_reduce(rows, "mean", lengths=lengths))

    def _check(self, points: Tensor, features: Tensor, proposal: Tensor, n: int) -> None:
        if not 1 <= n <= N_SCENES:
            raise ValueError(f"n_proposals must lie in [1, {N_SCENES}], got {n}")
        wanted = {"points": (len(points), 3), "proposal_index": (len(points),)}
        wanted["features"] = (len(points), self.in_channels - 3)
        for name, got in zip(wanted, (points, proposal, features), strict=True):
            if got.shape != wanted[name]:
                raise ValueError(f"{name} must have shape {wanted[name]}, got {tuple(got.shape)}")
        if not bool((points.abs() < FAR).all()):  # also catches NaN
            raise ValueError(f"points must be finite and within {FAR:g} of zero, got others")
        if bool(((proposal < 0) | (proposal >= n)).any()):
            bounds = [int(bound) for bound in proposal.aminmax()]
            raise ValueError(f"proposal_index must lie in [0, {n}), got {bounds}")
        empty = (torch.bincount(proposal, minlength=n) == 0).nonzero()[:, 0].tolist()
        if empty:
            raise ValueError(f"proposal_index must name every proposal, got none of {empty}")


def _stage(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> list[nn.Module]:
    return [
        Conv3d(in_channels, out_channels, kernel_size, stride),
        BatchNorm(out_channels),
        ReLU(),
    ]
