"""PointNet++: features of sets of points around centers, without voxels.

Qi et al., "PointNet++", NeurIPS 2017, in the form and with the sizes of VoteNet (Qi et al., "Deep
Hough Voting for 3D Object Detection in Point Clouds", ICCV 2019), which Zhang et al.,
"DepthContrast", ICCV 2021, pre-train. Parameters have the names and shapes of both, so that their
state dicts load as they are; `name_in_votenet` translates those of MMDetection3D.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcl_backbones.argument_shapes import checked
from pcl_backbones.res16unet import scaled
from pcl_backbones.set_abstraction import FeaturePropagation, SetAbstraction, SetFeatures

LEVELS = ((64, 64, 128), (128, 128, 256), (128, 128, 256), (128, 128, 256))  # channels
N_NEIGHBORS = (64, 32, 16, 16)


class PointNet2(nn.Module):
    """VoteNet's backbone: four set abstractions, and two feature propagations back up.

    Centers of the first level are furthest points of the input. Those of level k + 1 are the
    first ones of level k, which are its furthest points: nothing is sampled twice.

    Args:
        in_channels: of the features, such as 1 for the height above the floor; 0 for none.
        out_channels: of the seeds; VoteNet has 256, DepthContrast 512.
        width: factor on every inner channel count; 1 is the published network.
        counts: centers of each level, falling; the second is the number of seeds.
        radii: of the balls of each level, metres.

    Attributes:
        feature_channels: channels of the seeds.

    Raises:
        ValueError: if a size is out of range, or counts rise.

    Example:
        >>> network = PointNet2(1, out_channels=8, width=0.1, counts=(32, 16, 8, 4))
        >>> seeds = network(torch.rand(2, 100, 3), torch.rand(2, 1, 100))
        >>> seeds.points.shape, seeds.features.shape
        (torch.Size([2, 16, 3]), torch.Size([2, 8, 16]))
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: int = 256,
        width: float = 1.0,
        counts: Sequence[int] = (2048, 1024, 512, 256),
        radii: Sequence[float | int] = (0.2, 0.4, 0.8, 1.2),
    ) -> None:
        super().__init__()
        for name, values in (("counts", counts), ("radii", radii)):
            if len(values) != len(LEVELS):
                raise ValueError(f"{name} must be {len(LEVELS)} numbers, got {len(values)}")
        if any(more < fewer for more, fewer in pairwise(counts)) or counts[-1] < 3:
            raise ValueError(f"counts must fall, to 3 at least, got {tuple(counts)}")
        self.feature_channels = out_channels
        sizes = [scaled(level, width) for level in LEVELS]
        inputs = [in_channels, *(level[-1] for level in sizes)]
        self.sa1, self.sa2, self.sa3, self.sa4 = (
            SetAbstraction(
                *(inputs[k], sizes[k]), count=counts[k], radius=radii[k], n_neighbors=N_NEIGHBORS[k]
            )
            for k in range(len(LEVELS))
        )
        self.fp1 = FeaturePropagation(inputs[4] + inputs[3], [out_channels] * 2)
        self.fp2 = FeaturePropagation(out_channels + inputs[2], [out_channels] * 2)

    @checked
    def forward(
        self, points: Float[Tensor, "b n 3"], features: Float[Tensor, "b c n"] | None = None
    ) -> SetFeatures:
        """The seeds: furthest points, with features of what surrounds them.

        Args:
            points: world coordinates, metres; at least as many as the first level has centers.
            features: None where in_channels is 0.

        Raises:
            ValueError: if there are fewer points, features do not have in_channels, or points are
                not finite or 10^18 from zero.
        """
        level_1 = self.sa1(points, features)
        level_2 = self._next(self.sa2, level_1)
        level_3 = self._next(self.sa3, level_2)
        level_4 = self._next(self.sa4, level_3)
        features = self.fp1(level_3.points, level_4.points, level_3.features, level_4.features)
        features = self.fp2(level_2.points, level_3.points, level_2.features, features)
        return SetFeatures(level_2.points, features, level_1.index[:, : self.sa2.count])

    @staticmethod
    def _next(layer: SetAbstraction, level: SetFeatures) -> SetFeatures:
        """The layer around the first points of a level."""
        first = torch.arange(layer.count, device=level.index.device)
        return layer(level.points, level.features, first.expand(len(level.index), -1))


def name_in_votenet(name: str) -> str:
    """The name here, and in VoteNet's own files, of a tensor in a file of MMDetection3D.

    Set abstraction k is `SA_modules.k` there and counts from 0. Other names stay as they are.

    Example:
        >>> name_in_votenet("backbone.SA_modules.0.mlps.0.layer1.bn.weight")
        'backbone.sa1.mlp_module.layer1.bn.bn.weight'
        >>> name_in_votenet("backbone.FP_modules.1.mlps.layer0.conv.weight")
        'backbone.fp2.mlp.layer0.conv.weight'
    """
    name = re.sub(r"SA_modules\.(\d+)", lambda found: f"sa{int(found[1]) + 1}", name)
    name = re.sub(r"FP_modules\.(\d+)\.mlps", lambda found: f"fp{int(found[1]) + 1}.mlp", name)
    name = name.replace(".mlps.0.", ".mlp_module.")
    return re.sub(r"(layer\d+\.bn)\.(?!bn\.)", r"\1.bn.", name)
