"""What the methods with a teacher share: a student encoder, and a teacher that follows it.

He et al., "Momentum Contrast", CVPR 2020; Grill et al., "Bootstrap Your Own Latent" (BYOL), 2020.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from pcl_backbones import ProjectionHead
from pcl_contrastive import MomentumEncoder, pool_volumes
from pcl_methods.pretraining.objective import Batch, Compared, Objective, encode_view
from pcl_methods.segmentation.encoding import VoxelBackbone


@dataclass(frozen=True)
class TeacherOptions:
    """How a student is compared with its teacher.

    Args:
        channels: of the compared features.
        temperature: of the contrast; of BYOL in the health panel alone.
        momentum: share of itself that the teacher keeps in a step.
        queue_size: features of the teacher that are kept to contrast with.
    """

    channels: int = 128
    temperature: float = 0.1
    momentum: float = 0.999
    queue_size: int = 300_000


class GroupEncoder(nn.Module):
    """One feature a group: the largest of its voxels in each channel, projected (as SimCLR)."""

    backbone: VoxelBackbone

    def __init__(self, backbone: VoxelBackbone, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = ProjectionHead(backbone.feature_channels, channels)

    def forward(self, view: dict[str, Tensor], n_groups: int) -> Tensor:
        """Features of the groups, (n_groups, channels)."""
        voxels = encode_view(self.backbone, view).features
        return self.head(pool_volumes(voxels[view["rows"]], view["groups"], n_groups))


class TeacherObjective(Objective):
    """Base of the objectives with a teacher.

    Args:
        backbone: what is pre-trained.
        options: of the student and its teacher.
    """

    def __init__(self, backbone: VoxelBackbone, options: TeacherOptions = TeacherOptions()) -> None:
        super().__init__(backbone)
        self.temperature = options.temperature
        self.student = GroupEncoder(backbone, options.channels)
        self.teacher = MomentumEncoder(self.student, momentum=options.momentum)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The student's features of the groups of the first view, the teacher's of the second."""
        n_groups = len(batch["scene"])
        return self.student(batch["first"], n_groups), self.teacher(batch["second"], n_groups)

    def follow(self) -> None:
        """Let the teacher follow what the student learned."""
        self.teacher.update(self.student)

    def compared(self, batch: Batch) -> Compared:
        """The groups of the first scene, or all scenes of the batch."""
        student, teacher = self.encode(batch)
        rows = slice(None) if self.rows_are_scenes else batch["scene"] == 0
        return Compared(student[rows], teacher[rows], self.temperature)


def byol_predictor(channels: int) -> nn.Sequential:
    """What predicts the teacher's features from the student's: linear, batch norm, ReLU, linear."""
    return nn.Sequential(
        nn.Linear(channels, channels, bias=False),
        nn.BatchNorm1d(channels),
        nn.ReLU(),
        nn.Linear(channels, channels),
    )
