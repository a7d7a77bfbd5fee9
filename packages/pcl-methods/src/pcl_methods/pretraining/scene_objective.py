"""One feature a scene: DepthContrast and BYOL.

Zhang et al., "Self-Supervised Pretraining of 3D Features on any Point-Cloud", ICCV 2021; Grill et
al., "Bootstrap Your Own Latent", 2020. Both are what SSPL compares itself with.
"""

import torch

from pcl_contrastive import FeatureQueue, byol_loss, scene_info_nce
from pcl_methods.pretraining.objective import Batch, Losses
from pcl_methods.pretraining.teacher_objective import (
    TeacherObjective,
    TeacherOptions,
    byol_predictor,
)
from pcl_methods.segmentation.encoding import VoxelBackbone


class DepthContrast(TeacherObjective):
    """A scene against earlier scenes: the teacher's features of those are kept in a queue.

    Args:
        backbone: what is pre-trained.
        options: of the student and its teacher.
    """

    rows_are_scenes = True

    def __init__(self, backbone: VoxelBackbone, options: TeacherOptions = TeacherOptions()) -> None:
        super().__init__(backbone, options)
        self.queue = FeatureQueue(options.queue_size, options.channels)

    def forward(self, batch: Batch, step: int) -> Losses:
        """The contrast of the scenes of the batch, which then enter the queue."""
        student, teacher = self.encode(batch)
        queue = self.queue.filled
        if len(queue) == 0:  # MoCo's queue starts with random vectors
            queue = torch.randn_like(teacher)
        loss = scene_info_nce(student, teacher, queue, temperature=self.temperature)
        self.queue.enqueue(teacher)
        return {"loss": loss}


class Byol(TeacherObjective):
    """A scene against itself: the student predicts what the teacher sees in the other view.

    A batch needs at least two scenes, for the batch norm of the predictor.

    Args:
        backbone: what is pre-trained.
        options: of the student and its teacher; there is no queue.
    """

    rows_are_scenes = True

    def __init__(self, backbone: VoxelBackbone, options: TeacherOptions = TeacherOptions()) -> None:
        super().__init__(backbone, options)
        self.predictor = byol_predictor(options.channels)

    def forward(self, batch: Batch, step: int) -> Losses:
        """How far the predictions are off."""
        student, teacher = self.encode(batch)
        return {"loss": byol_loss(self.predictor(student), teacher)}
