"""SSPL: volumes of a scene against each other, and against clusters of the volumes of all scenes.

Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds", NeurIPS 2022, Algorithm 1.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from pcl_contrastive import (
    FeatureQueue,
    QueueClusters,
    byol_loss,
    cluster_info_nce,
    nearest_labels,
    volume_classification_loss,
    volume_info_nce,
)
from pcl_methods.pretraining.objective import Batch, Losses
from pcl_methods.pretraining.teacher_objective import (
    TeacherObjective,
    TeacherOptions,
    byol_predictor,
)
from pcl_methods.segmentation.encoding import VoxelBackbone

FIRST_REFRESHES = 6  # prototypes are random at first, and settle


@dataclass(frozen=True)
class ClusterOptions:
    """The clusters of the teacher's features, and what a volume is told from.

    Args:
        n_clusters: of the queue.
        refresh_every: steps between two clusterings of the queue.
        n_negatives: features of the queue.
        negatives: of `other` clusters than the volume's (the paper's), of the `same` ("Hard" in
            Table 4), or of `any` ("Rand").
    """

    n_clusters: int = 64
    refresh_every: int = 100
    n_negatives: int = 20_000
    negatives: Literal["other", "same", "any"] = "other"


class LocalVolumes(TeacherObjective):
    """The local loss of SSPL alone (Eq. 1; "Local" in Table 4).

    Args:
        backbone: what is pre-trained.
        options: of the student and its teacher.
        local_loss: `contrast` (Eq. 1), or `byol`: without negatives (Eq. 3, Table 3).
    """

    predictor: nn.Module | None

    def __init__(
        self,
        backbone: VoxelBackbone,
        options: TeacherOptions = TeacherOptions(),
        *,
        local_loss: Literal["contrast", "byol"] = "contrast",
    ) -> None:
        super().__init__(backbone, options)
        self.predictor = byol_predictor(options.channels) if local_loss == "byol" else None

    def forward(self, batch: Batch, step: int) -> Losses:
        """The local loss."""
        local = self.local_loss(*self.encode(batch), batch["scene"])
        return {"loss": local, "local": local}

    def local_loss(self, student: Tensor, teacher: Tensor, scene: Tensor) -> Tensor:
        """Eq. 1, the mean over scenes; or Eq. 3.

        Args:
            student: (m, c) features of the volumes.
            teacher: (m, c) features of the same.
            scene: (m,) the scene of each.
        """
        if self.predictor is not None:
            return byol_loss(self.predictor(student), teacher)
        scenes = [
            volume_info_nce(student[scene == i], teacher[scene == i], temperature=self.temperature)
            for i in range(int(scene.max()) + 1)
        ]
        return torch.stack(scenes).mean()


class Sspl(LocalVolumes):
    """SSPL: the local loss and, once the queue is full, the global one (Eq. 2).

    Args:
        backbone: what is pre-trained.
        options: of the student and its teacher.
        clusters: of the queue.
        local_loss: as of `LocalVolumes`.
    """

    def __init__(
        self,
        backbone: VoxelBackbone,
        options: TeacherOptions = TeacherOptions(),
        clusters: ClusterOptions = ClusterOptions(),
        *,
        local_loss: Literal["contrast", "byol"] = "contrast",
    ) -> None:
        super().__init__(backbone, options, local_loss=local_loss)
        size, channels = options.queue_size, options.channels
        self.queue = FeatureQueue(size, channels)
        self.clusters = QueueClusters(channels, clusters.n_clusters, queue_size=size)
        self.cluster_options = clusters

    def forward(self, batch: Batch, step: int) -> Losses:
        """Algorithm 1, from the volume features on."""
        student, teacher = self.encode(batch)
        losses = {"local": self.local_loss(student, teacher, batch["scene"])}
        if self.queue.is_full:
            self._refresh(step)
            losses["global"] = self.global_loss(student, teacher)
        self._enqueue(teacher)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def global_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Eq. 2 (ClusterInfoNCE) of volumes, (m, c) each."""
        return cluster_info_nce(
            student,
            teacher,
            self.queue.filled,
            self.clusters.labels,
            temperature=self.temperature,
            n_negatives=self.cluster_options.n_negatives,
            negatives=self.cluster_options.negatives,
        )

    def _refresh(self, step: int) -> None:
        """Cluster the queue, if it is time; several times at first, to settle."""
        is_due = step % self.cluster_options.refresh_every == 0
        for _ in range(int(is_due) if self._has_clusters() else FIRST_REFRESHES):
            self.clusters.refresh(self.queue.filled)

    def _enqueue(self, teacher: Tensor) -> None:
        """Put the teacher's features into the queue, and each into its cluster."""
        slots = self.queue.enqueue(teacher)
        if self._has_clusters():
            self.clusters.labels[slots] = self.clusters.assign(self.queue.features[slots])

    def _has_clusters(self) -> bool:
        return bool((self.clusters.labels >= 0).all())


class SsplClasses(Sspl):
    """SSPL with a classifier of the clusters in place of Eq. 2 ("Cls" in Table 4).

    Args:
        backbone: what is pre-trained.
        options: of the student and its teacher.
        clusters: of the queue; there are no negatives.
        local_loss: as of `LocalVolumes`.
    """

    def __init__(
        self,
        backbone: VoxelBackbone,
        options: TeacherOptions = TeacherOptions(),
        clusters: ClusterOptions = ClusterOptions(),
        *,
        local_loss: Literal["contrast", "byol"] = "contrast",
    ) -> None:
        super().__init__(backbone, options, clusters, local_loss=local_loss)
        self.classifier = nn.Linear(options.channels, clusters.n_clusters, bias=False)

    def global_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Eq. 4, the cross-entropy of the clusters, of volumes, (m, c) each."""
        labels = nearest_labels(teacher, self.queue.filled, self.clusters.labels)
        of_student, of_teacher = (
            self.classifier(normalize(one, dim=1)) for one in (student, teacher)
        )
        return volume_classification_loss(of_student, of_teacher, labels)
