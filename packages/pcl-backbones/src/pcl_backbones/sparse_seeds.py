"""Seeds of VoteNet from a sparse network: voxels that lie far from each other.

Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene Contexts" (CSC),
CVPR 2021, sec. 5, in whose published weights the network is called `net`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcl_backbones.argument_shapes import checked
from pcl_backbones.point_sampling import furthest_points
from pcl_backbones.set_abstraction import SetFeatures
from pcl_backbones.sparse_tensor import SparseTensor


class SparseSeeds(nn.Module):
    """The furthest of the points that stand for voxels, with the features of their voxels.

    Args:
        net: from a SparseTensor to one on the same voxels; its channels are those of the seeds.
            In CSC it is `Res16UNet34C(3, 256)` on voxels of 2.5 cm.
        count: seeds a scene.

    Raises:
        ValueError: if count is below 1.

    Example:
        >>> import torch
        >>> from pcl_backbones import Res16UNet14A
        >>> coords = torch.tensor(
        ...     [[0, 0, 0, 0], [0, 1, 0, 0], [0, 9, 0, 0]], dtype=torch.int32
        ... )
        >>> x, points = SparseTensor(coords, torch.ones(3, 3)), coords[:, 1:] * 0.025
        >>> SparseSeeds(Res16UNet14A(3, 8, width=0.125).eval(), count=2)(x, points).index
        tensor([[0, 2]])
    """

    def __init__(self, net: nn.Module, count: int = 1024) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.net, self.count = net, count

    @checked
    def forward(self, x: SparseTensor, points: Float[Tensor, "v 3"]) -> SetFeatures:
        """Seeds of every scene; `index` counts the rows of x that are of the seed's scene.

        A scene of fewer voxels gives all of them, furthest first, over and over.

        Args:
            x: voxels of the scenes and their features.
            points: the point that stands for each voxel, metres.

        Raises:
            ValueError: if there is not a point for each row.
        """
        if len(points) != len(x):
            raise ValueError(f"points must have shape ({len(x)}, 3), got {tuple(points.shape)}")
        features = self.net(x).features
        scene = x.coords[:, 0]
        seeds = [
            self._seeds_of((scene == i).nonzero()[:, 0], points) for i in range(scene.max() + 1)
        ]
        rows = torch.stack([own[index] for own, index in seeds])
        return SetFeatures(
            points=points[rows],
            features=features[rows].transpose(1, 2),
            index=torch.stack([index for _, index in seeds]),
        )

    def _seeds_of(self, rows: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of a scene, and which of them are seeds."""
        found = furthest_points(points[rows].unsqueeze(0), min(self.count, len(rows)))[0]
        turns = -(-self.count // len(found))
        return rows, found.repeat(turns)[: self.count]
