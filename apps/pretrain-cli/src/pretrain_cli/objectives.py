"""The objectives of pre-training: a backbone, what is put on it, and the loss of a batch.

`forward(batch, step)` gives the losses, `compared(batch)` the features that the loss compares, for
the health panel. The backbone alone outlives pre-training.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from pcl_backbones import ProjectionHead, SemanticHead, SparseTensor
from pcl_contrastive import (
    FeatureQueue,
    MomentumEncoder,
    QueueClusters,
    byol_loss,
    cluster_info_nce,
    hardest_contrastive_loss,
    nearest_labels,
    point_info_nce,
    pool_volumes,
    sample_matches,
    scene_context_loss,
    scene_info_nce,
    volume_classification_loss,
    volume_info_nce,
)
from pcl_methods.segmentation.network import Backbone
from pretrain_cli.config import PAIR_METHODS, PretrainConfig
from pretrain_cli.views import VIEWS

Batch = dict[str, Any]
Losses = dict[str, Tensor]
Negatives = Literal["other", "same", "any"]
FIRST_REFRESHES = 6  # prototypes are random at first, and settle
# Table 4 of paper 003
NEGATIVES: dict[str, Negatives] = {"cluster": "other", "hard": "same", "random": "any"}


def build_objective(config: PretrainConfig, backbone: Backbone) -> "Objective":
    """The objective of a method, with fresh weights on top of the backbone."""
    if config.method in PAIR_METHODS:
        return PointObjective(config, backbone)
    if config.method == "sspl":
        return VolumeObjective(config, backbone)
    return SceneObjective(config, backbone)


class Objective(nn.Module):
    """Base of the objectives."""

    backbone: Backbone
    rows_are_scenes = False  # of `compared`

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config, self.backbone = config, backbone

    def forward(self, batch: Batch, step: int) -> Losses:
        """The losses of a batch; `loss` is their sum."""
        raise NotImplementedError

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor, float]:
        """Queries and keys whose rows match, of one scene, and the temperature."""
        raise NotImplementedError


class PointObjective(Objective):
    """PointContrast, and Contrastive Scene Contexts (Eq. 3 of paper 001)."""

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        self.projection = SemanticHead(backbone.feature_channels, config.contrast.channels)

    def forward(self, batch: Batch, step: int) -> Losses:
        """The mean over scenes of the loss of their matches."""
        features = [self._features(batch[view]) for view in VIEWS]
        scenes = [
            self._scene_loss(features, self._matches(batch, scene), batch)
            for scene in range(int(batch["scene"].max()) + 1)
        ]
        return {"loss": torch.stack(scenes).mean()}

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor, float]:
        """Matching points of the first scene."""
        features = [self._features(batch[view]) for view in VIEWS]
        matches = sample_matches(self._matches(batch, 0), self.config.contrast.n_matches)
        first, second = (one[rows] for one, rows in zip(features, matches.T, strict=True))
        return first, second, self.config.contrast.temperature

    def _features(self, view: dict[str, Tensor]) -> Tensor:
        voxels = self.backbone.features(SparseTensor(view["coords"], view["features"]))
        return self.projection(voxels).features

    def _matches(self, batch: Batch, scene: int) -> Tensor:
        """Voxels of the two views that match in a scene, (k, 2)."""
        rows = batch["scene"] == scene
        return torch.stack([batch[view]["rows"][rows] for view in VIEWS], dim=1)

    def _scene_loss(self, features: list[Tensor], matches: Tensor, batch: Batch) -> Tensor:
        settings = self.config.contrast
        if self.config.method == "pointcontrast" and settings.loss == "hardest":
            return hardest_contrastive_loss(features[0], features[1], matches).loss
        first, second = sample_matches(matches, settings.n_matches).T
        queries, keys = features[0][first], features[1][second]
        if self.config.method == "pointcontrast":
            return point_info_nce(queries, keys, temperature=settings.temperature)
        return scene_context_loss(
            queries,
            keys,
            batch["first"]["points"][first],
            temperature=settings.temperature,
            n_partitions=settings.n_partitions,
            inner_radius=settings.inner_radius,
            outer_radius=settings.outer_radius,
        )


class GroupEncoder(nn.Module):
    """One feature a group: the largest of its voxels in each channel, projected (SimCLR)."""

    backbone: Backbone

    def __init__(self, backbone: Backbone, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = ProjectionHead(backbone.feature_channels, channels)

    def forward(self, view: dict[str, Tensor], n_groups: int) -> Tensor:
        """Features of the groups, (n_groups, channels)."""
        voxels = self.backbone.features(SparseTensor(view["coords"], view["features"])).features
        return self.head(pool_volumes(voxels[view["rows"]], view["groups"], n_groups))


def byol_predictor(channels: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear (Grill et al., "Bootstrap Your Own Latent", 2020)."""
    return nn.Sequential(
        nn.Linear(channels, channels, bias=False),
        nn.BatchNorm1d(channels),
        nn.ReLU(),
        nn.Linear(channels, channels),
    )


class TeacherObjective(Objective):
    """A student, and a teacher that follows it (He et al., "Momentum Contrast", CVPR 2020)."""

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        settings = config.teacher
        self.student = GroupEncoder(backbone, settings.channels)
        self.teacher = MomentumEncoder(self.student, momentum=settings.momentum)
        self.predictor = None
        if config.method == "byol" or (
            config.method == "sspl" and config.sspl.local_loss == "byol"
        ):
            self.predictor = byol_predictor(settings.channels)

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor, float]:
        """Volumes of the first scene, or all scenes of the batch."""
        student, teacher = self._features(batch)
        rows = self._compared_rows(batch)
        return student[rows], teacher[rows], self.config.teacher.temperature

    def _compared_rows(self, batch: Batch) -> Tensor:
        return batch["scene"] == 0

    def _features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        n_groups = len(batch["scene"])
        return self.student(batch["first"], n_groups), self.teacher(batch["second"], n_groups)

    def _follow(self, step: int) -> None:
        """Let the teacher follow what the student learned in the step before."""
        if step > 0:
            self.teacher.update(self.student)


class VolumeObjective(TeacherObjective):
    """SSPL: volumes of a scene against each other, and against clusters of all scenes."""

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        if config.sspl.global_loss != "none":
            channels = config.teacher.channels
            self.queue = FeatureQueue(config.teacher.queue_size, channels)
            self.clusters = QueueClusters(
                channels, config.sspl.n_clusters, queue_size=config.teacher.queue_size
            )
            if config.sspl.global_loss == "class":
                self.classifier = nn.Linear(channels, config.sspl.n_clusters, bias=False)

    def forward(self, batch: Batch, step: int) -> Losses:
        """The local loss and, once the queue is full, the global one."""
        self._follow(step)
        student, teacher = self._features(batch)
        losses = {"local": self._local_loss(student, teacher, batch["scene"])}
        if self.config.sspl.global_loss != "none":
            if self.queue.is_full:
                for _ in range(self._refreshes(step)):
                    self.clusters.refresh(self.queue.filled)
                losses["global"] = self._global_loss(student, teacher)
            slots = self.queue.enqueue(teacher)
            if self._has_clusters():
                self.clusters.labels[slots] = self.clusters.assign(self.queue.features[slots])
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def _has_clusters(self) -> bool:
        return bool((self.clusters.labels >= 0).all())

    def _refreshes(self, step: int) -> int:
        """How often the queue is clustered in a step: several times at first, to settle."""
        if not self._has_clusters():
            return FIRST_REFRESHES
        return int(step % self.config.sspl.refresh_every == 0)

    def _local_loss(self, student: Tensor, teacher: Tensor, scene: Tensor) -> Tensor:
        if self.predictor is not None:
            return byol_loss(self.predictor(student), teacher)
        temperature = self.config.teacher.temperature
        scenes = [
            volume_info_nce(student[scene == i], teacher[scene == i], temperature=temperature)
            for i in range(int(scene.max()) + 1)
        ]
        return torch.stack(scenes).mean()

    def _global_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        settings, queue = self.config.sspl, self.queue.filled
        if settings.global_loss == "class":
            labels = nearest_labels(teacher, queue, self.clusters.labels)
            logits = [self.classifier(normalize(one, dim=1)) for one in (student, teacher)]
            return volume_classification_loss(logits[0], logits[1], labels)
        return cluster_info_nce(
            student,
            teacher,
            queue,
            self.clusters.labels,
            temperature=self.config.teacher.temperature,
            n_negatives=settings.n_negatives,
            negatives=NEGATIVES[settings.global_loss],
        )


class SceneObjective(TeacherObjective):
    """DepthContrast and BYOL: one feature a scene."""

    rows_are_scenes = True

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        if config.method == "depthcontrast":
            self.queue = FeatureQueue(config.teacher.queue_size, config.teacher.channels)

    def forward(self, batch: Batch, step: int) -> Losses:
        """The loss of the scenes of the batch."""
        self._follow(step)
        student, teacher = self._features(batch)
        if self.predictor is not None:
            return {"loss": byol_loss(self.predictor(student), teacher)}
        temperature = self.config.teacher.temperature
        queue = self.queue.filled
        if len(queue) == 0:  # MoCo's queue starts with random vectors
            queue = torch.randn_like(teacher)
        loss = scene_info_nce(student, teacher, queue, temperature=temperature)
        self.queue.enqueue(teacher)
        return {"loss": loss}

    def _compared_rows(self, batch: Batch) -> Tensor:
        return batch["scene"] >= 0  # a scene is one row: compare those of the batch
