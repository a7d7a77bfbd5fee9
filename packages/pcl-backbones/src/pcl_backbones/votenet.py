"""VoteNet: seeds vote for the centres of objects, and clusters of votes become boxes.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds", ICCV 2019, sec. 4 and 5;
over a sparse U-Net: Hou et al., "Contrastive Scene Contexts" (CSC), CVPR 2021, sec. 5. Layer names
are those of the published models, whose weights `load_published_votenet` reads.
"""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from pcl_backbones.box_coding import BoxCoding
from pcl_backbones.res16unet import scaled
from pcl_backbones.set_abstraction import SetAbstraction
from pcl_backbones.sparse_tensor import SparseTensor

VOTE_RADIUS, VOTE_NEIGHBORS = 0.3, 16  # metres; votes of a proposal


class Proposals(NamedTuple):
    """Boxes as predicted, in the parts of a `BoxCoding`.

    Attributes:
        points: centres of the clusters of votes, metres.
        objectness: logits of no object and of an object.
        centers: of the boxes, metres.
        headings: logits of the bins of the heading.
        heading_residuals: from the middle of each bin, in half bins.
        sizes: logits of the classes of size.
        size_residuals: from each mean size, in mean sizes.
        classes: logits of the classes.
    """

    points: Float[Tensor, "b p 3"]
    objectness: Float[Tensor, "b p 2"]
    centers: Float[Tensor, "b p 3"]
    headings: Float[Tensor, "b p h"]
    heading_residuals: Float[Tensor, "b p h"]
    sizes: Float[Tensor, "b p c"]
    size_residuals: Float[Tensor, "b p c 3"]
    classes: Float[Tensor, "b p c"]

    def residuals_of(
        self, heading_class: Int[Tensor, "b p"], size_class: Int[Tensor, "b p"]
    ) -> tuple[Float[Tensor, "b p"], Float[Tensor, "b p 3"]]:
        """The residuals of heading and of size of one bin and one class each."""
        turns = self.heading_residuals.gather(2, heading_class.unsqueeze(2)).squeeze(2)
        column = size_class[:, :, None, None].expand(-1, -1, 1, 3)
        return turns, self.size_residuals.gather(2, column).squeeze(2)


class VoteNetOutput(NamedTuple):
    """Seeds, their votes, and the boxes proposed.

    Attributes:
        seeds: metres.
        index: the point of its scene that each seed is.
        votes: where each seed takes the centre of its object to be, metres.
        proposals: the boxes.
    """

    seeds: Float[Tensor, "b m 3"]
    index: Int[Tensor, "b m"]
    votes: Float[Tensor, "b m 3"]
    proposals: Proposals


class VotingModule(nn.Module):
    """One vote of each seed: the seed moved, and its features changed and scaled to length 1.

    Args:
        channels: of the features.

    Example:
        >>> import torch
        >>> votes, features = VotingModule(8).eval()(
        ...     torch.rand(2, 5, 3), torch.rand(2, 8, 5)
        ... )
        >>> votes.shape, features.shape
        (torch.Size([2, 5, 3]), torch.Size([2, 8, 5]))
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, channels, 1)
        self.conv2 = nn.Conv1d(channels, channels, 1)
        self.conv3 = nn.Conv1d(channels, 3 + channels, 1)
        self.bn1 = nn.BatchNorm1d(channels)
        self.bn2 = nn.BatchNorm1d(channels)

    def forward(
        self, seeds: Float[Tensor, "b m 3"], features: Float[Tensor, "b c m"]
    ) -> tuple[Float[Tensor, "b m 3"], Float[Tensor, "b c m"]]:
        """Votes (b, m, 3), metres, and their features (b, c, m)."""
        hidden = self.bn1(self.conv1(features)).relu()
        hidden = self.bn2(self.conv2(hidden)).relu()
        offsets, change = self.conv3(hidden).tensor_split([3], dim=1)
        return seeds + offsets.transpose(1, 2), normalize(features + change, dim=1)


class ProposalModule(nn.Module):
    """Boxes from the votes around furthest votes.

    Args:
        in_channels: channels of the votes.
        coding: classes of boxes.
        channels: of the hidden layers.
        count: boxes a scene.
    """

    def __init__(
        self, in_channels: int, coding: BoxCoding, *, channels: int = 128, count: int = 256
    ) -> None:
        super().__init__()
        self.coding = coding
        self.vote_aggregation = SetAbstraction(
            in_channels,
            [channels] * 3,
            count=count,
            radius=VOTE_RADIUS,
            n_neighbors=VOTE_NEIGHBORS,
        )
        self.conv1 = nn.Conv1d(channels, channels, 1)
        self.conv2 = nn.Conv1d(channels, channels, 1)
        self.conv3 = nn.Conv1d(channels, sum(self._parts()), 1)
        self.bn1 = nn.BatchNorm1d(channels)
        self.bn2 = nn.BatchNorm1d(channels)

    def forward(self, votes: Float[Tensor, "b m 3"], features: Float[Tensor, "b c m"]) -> Proposals:
        """Boxes of clusters of votes."""
        clusters = self.vote_aggregation(votes, features)
        hidden = self.bn1(self.conv1(clusters.features)).relu()
        hidden = self.bn2(self.conv2(hidden)).relu()
        rows = self.conv3(hidden).transpose(1, 2).to(votes.dtype)  # (b, p, channels)
        objectness, offsets, headings, turns, sizes, changes, classes = rows.split(
            self._parts(), dim=2
        )
        return Proposals(
            points=clusters.points,
            objectness=objectness,
            centers=clusters.points + offsets,
            headings=headings,
            heading_residuals=turns,
            sizes=sizes,
            size_residuals=changes.unflatten(2, (-1, 3)),
            classes=classes,
        )

    def _parts(self) -> list[int]:
        """Channels of the parts, in the order published."""
        n_headings, n_classes = self.coding.n_headings, self.coding.n_classes
        return [2, 3, n_headings, n_headings, n_classes, 3 * n_classes, n_classes]


class VoteNet(nn.Module):
    """Boxes of the objects of scenes, by votes.

    Args:
        backbone_net: a module whose output has `points` (b, m, 3), metres, `features` (b, c, m)
            and `index` (b, m) of the seeds, such as `PointNet2` or `SparseSeeds`.
        coding: classes of boxes: `SCANNET_CODING`, `SUNRGBD_CODING` or your own.
        seed_channels: c, 256 in the published models.
        width: factor on the 128 channels of the proposals.
        n_proposals: boxes a scene.

    Raises:
        ValueError: if a size is below 1 or width is not above 0.

    Example:
        >>> import torch
        >>> from pcl_backbones.box_coding import SUNRGBD_CODING
        >>> from pcl_backbones.set_abstraction import SetAbstraction
        >>> seeds = SetAbstraction(0, [32, 64], count=32, radius=0.4, n_neighbors=8)
        >>> network = VoteNet(
        ...     seeds, SUNRGBD_CODING, seed_channels=64, width=0.25, n_proposals=16
        ... )
        >>> output = network.eval()(torch.rand(2, 100, 3), None)
        >>> output.votes.shape, output.proposals.centers.shape
        (torch.Size([2, 32, 3]), torch.Size([2, 16, 3]))
    """

    def __init__(
        self,
        backbone_net: nn.Module,
        coding: BoxCoding,
        *,
        seed_channels: int = 256,
        width: float = 1.0,
        n_proposals: int = 256,
    ) -> None:
        super().__init__()
        for name, value in {"seed_channels": seed_channels, "n_proposals": n_proposals}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        (channels,) = scaled([128], width)
        self.coding = coding
        self.backbone_net = backbone_net
        self.vgen = VotingModule(seed_channels)
        self.pnet = ProposalModule(seed_channels, coding, channels=channels, count=n_proposals)

    def forward(self, *inputs: Tensor | SparseTensor | None) -> VoteNetOutput:
        """Votes and boxes of the seeds that the backbone finds in its inputs."""
        seeds = self.backbone_net(*inputs)
        votes, features = self.vgen(seeds.points, seeds.features)
        return VoteNetOutput(seeds.points, seeds.index, votes, self.pnet(votes, features))
