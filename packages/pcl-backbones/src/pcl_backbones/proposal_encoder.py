"""A small sparse encoder that turns each proposal into one vector.

Chu et al., "TWIST", CVPR 2022, section 4.2: "a small SparseConv encoder". The paper leaves its size
open; this one has three stages.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pcl_backbones.sparse import BatchNorm, Conv3d, GlobalPool, ReLU
from pcl_backbones.sparse_tensor import SparseTensor


class ProposalEncoder(nn.Module):
    """Points of proposals, voxelised in a grid of their own, encoded and pooled.

    Each proposal is centred on its mean. Its voxels are `voxel_size` wide, wider where the
    proposal would not fit a grid of `max_grid` voxels. A voxel's input is the mean of
    [centred xyz, features] over its points.

    Args:
        in_channels: 3 plus the columns of the features.
        out_channels: columns of the result.
        width: channels of the first stage; the others have 2 and 4 times as many.
        voxel_size: metres.
        max_grid: most voxels along an edge.

    Raises:
        ValueError: if inputs do not fit, or a proposal has no point.
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
        if voxel_size <= 0:
            raise ValueError(f"voxel_size must be positive, got {voxel_size}")
        self.voxel_size, self.max_grid = voxel_size, max_grid
        stages = [
            (Conv3d(in_channels, width, 3), BatchNorm(width)),
            (Conv3d(width, 2 * width, 2, 2), BatchNorm(2 * width)),
            (Conv3d(2 * width, 4 * width, 2, 2), BatchNorm(4 * width)),
        ]
        layers = [layer for conv, norm in stages for layer in (conv, norm, ReLU())]
        self.encoder = nn.Sequential(*layers)
        self.pool = GlobalPool()
        self.linear = nn.Linear(8 * width, out_channels)

    def forward(
        self,
        points: Float[Tensor, "k 3"],
        features: Float[Tensor, "k c"],
        proposal_index: Int[Tensor, " k"],
        n_proposals: int,
    ) -> Float[Tensor, "m d"]:
        """One vector for each proposal.

        Args:
            points: metres; a point in two proposals stands twice.
            features: of the backbone.
            proposal_index: the proposal of each row, in [0, n_proposals).
            n_proposals: m.
        """
        counts = torch.bincount(proposal_index, minlength=n_proposals)
        if len(counts) != n_proposals or bool((counts == 0).any()):
            raise ValueError(
                f"proposal_index must name each of {n_proposals} proposals, "
                f"got {int((counts > 0).sum())} of {len(counts)}"
            )
        sums = points.new_zeros(n_proposals, 3).index_add(0, proposal_index, points)
        centred = points - (sums / counts[:, None])[proposal_index]
        coords, voxel = self._voxelize(centred.detach(), proposal_index, n_proposals)
        inputs = torch.cat([centred, features], dim=1)
        total = inputs.new_zeros(len(coords), inputs.shape[1]).index_add(0, voxel, inputs)
        mean = total / torch.bincount(voxel, minlength=len(coords))[:, None]
        pooled = self.pool(self.encoder(SparseTensor(coords, mean)), n_proposals)
        return self.linear(torch.cat([pooled.maximum, pooled.mean], dim=1))

    def _voxelize(
        self, centred: Tensor, proposal_index: Tensor, n_proposals: int
    ) -> tuple[Tensor, Tensor]:
        """Coordinates of the occupied voxels, and the voxel of each row."""
        if n_proposals == 0:
            return centred.new_zeros(0, 4, dtype=torch.int32), proposal_index
        index = proposal_index[:, None].expand(-1, 3)
        zeros = centred.new_zeros(n_proposals, 3)
        low = zeros.scatter_reduce(0, index, centred, "amin", include_self=False)
        high = zeros.scatter_reduce(0, index, centred, "amax", include_self=False)
        extent = (high - low).amax(dim=1)
        size = (extent / (self.max_grid - 1)).clamp(min=self.voxel_size)[proposal_index, None]
        grid = torch.floor((centred - low[proposal_index]) / size).int()
        rows = torch.cat([proposal_index[:, None].int(), grid], dim=1)
        return torch.unique(rows, dim=0, return_inverse=True)
