"""The configurations of pre-training and of fine-tuning: two pydantic trees, and their presets."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from pcl_methods.settings import DataConfig, ModelConfig, SupervisedConfig
from pcl_run.config import Config
from pcl_run.seeding import Seed
from pcl_run.training import TrainingConfig

Method = Literal["pointcontrast", "csc", "sspl", "depthcontrast", "byol"]
PAIR_METHODS = ("pointcontrast", "csc")
RENAMED = {
    "model.norm_momentum": "model.bn_momentum={}",
    "train.scenes": "train.batch_size={}",
}


class PretrainTrainConfig(TrainingConfig):
    """Section 5 of CSC (Hou et al., CVPR 2021), or 3.4 of SSPL (Zhang et al., NeurIPS 2022)."""

    steps: int = Field(60_000, ge=1)
    batch_size: int = Field(
        4, ge=1, description="scenes, or pairs of views, of a step of each process"
    )
    momentum: float = Field(0.8, ge=0, lt=1, description="of SGD")
    dampening: float = Field(0.0, ge=0, lt=1, description="of SGD")
    schedule: Literal["exponential", "cosine"] = Field(
        "exponential", description="x 0.99 every 1000 steps, or cosine to a thousandth"
    )


class ContrastConfig(Config):
    """PointContrast and Contrastive Scene Contexts."""

    pairs: Path | None = Field(
        None, description="folder that `pretrain-cli pairs` wrote; none: views cut from the scenes"
    )
    view_size: float = Field(0.5, gt=0, le=1, description="share of a scene that a cut view has")
    # Published: each view is turned. Strong: also mirrored, scaled, and its colors changed.
    augmentation: Literal["published", "strong"] = "published"
    loss: Literal["info_nce", "hardest"] = Field("info_nce", description="of PointContrast")
    channels: int = Field(32, ge=2, description="of the contrasted features")
    temperature: float = Field(0.4, gt=0)
    n_matches: int = Field(4096, ge=2, description="pairs of points of a scene and step")
    n_partitions: Literal[1, 2, 4, 8, 16, 32, 64] = 8  # of the scene contexts
    inner_radius: float = Field(0.05, gt=0, description="metres; nearer points are no negatives")
    outer_radius: float = Field(0.5, gt=0, description="metres")


class VolumeConfig(Config):
    """SSPL (Zhang et al., NeurIPS 2022)."""

    local_loss: Literal["contrast", "byol"] = Field("contrast", description="Table 3")
    # Table 4: Local, Our, Hard, Rand, Cls
    global_loss: Literal["none", "cluster", "hard", "random", "class"] = "cluster"
    volume_size: tuple[float, float, float] = Field((0.65, 0.65, 0.65), description="metres")
    max_volumes: int = Field(400, ge=2)
    min_points: int = Field(10, ge=1, description="of a volume")
    student_crop: float = Field(0.1, gt=0, le=1, description="share of a volume's points")
    teacher_crop: float = Field(0.5, gt=0, le=1, description="share of a volume's points")
    n_clusters: int = Field(64, ge=2)
    n_negatives: int = Field(20_000, ge=1)
    refresh_every: int = Field(100, ge=1, description="steps between clusterings of the queue")


class MomentumConfig(Config):
    """What the methods with a teacher share (SSPL, DepthContrast, BYOL)."""

    channels: int = Field(128, ge=2, description="of the projected features")
    temperature: float = Field(0.1, gt=0)
    momentum: float = Field(0.999, ge=0, le=1)
    queue_size: int = Field(300_000, ge=1)


class MonitorConfig(Config):
    """What is measured while a loss falls, or does not."""

    every: int = Field(1000, ge=1, description="steps between two panels")
    batches: int = Field(2, ge=1, description="held-out batches of the health panel")
    scenes: int = Field(5, ge=1, description="labeled scenes that the kNN probe learns from")
    probed: int = Field(5, ge=1, description="held-out scenes that it is scored on")
    n_neighbors: int = Field(20, ge=1)
    max_voxels: int = Field(20_000, ge=100, description="labeled voxels that it learns from")


class PretrainConfig(Config):
    """Everything that decides the numbers of a pre-training run."""

    renamed: ClassVar = RENAMED | {"monitor.n_neighbours": "monitor.n_neighbors={}"}

    method: Method = "csc"
    seed: Seed = 0
    init: Path | None = Field(None, description="weights that the backbone starts from")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig(voxel_size=0.025, bn_momentum=0.05)
    train: PretrainTrainConfig = PretrainTrainConfig()
    contrast: ContrastConfig = ContrastConfig()
    sspl: VolumeConfig = VolumeConfig()
    teacher: MomentumConfig = MomentumConfig()
    monitor: MonitorConfig = MonitorConfig()

    @model_validator(mode="after")
    def _the_outer_radius_is_the_larger(self) -> "PretrainConfig":
        inner, outer = self.contrast.inner_radius, self.contrast.outer_radius
        if inner >= outer:
            raise ValueError(
                f"contrast.outer_radius must exceed contrast.inner_radius {inner}, got {outer}"
            )
        return self

    @model_validator(mode="after")
    def _only_two_methods_learn_from_frame_pairs(self) -> "PretrainConfig":
        if self.contrast.pairs is not None and self.method not in PAIR_METHODS:
            raise ValueError(
                f"contrast.pairs must only be given with {' or '.join(PAIR_METHODS)}, got "
                f"{self.contrast.pairs} with {self.method}"
            )
        return self

    @model_validator(mode="after")
    def _byol_norms_several_scenes(self) -> "PretrainConfig":
        if self.method == "byol" and self.train.batch_size < 2:
            raise ValueError(
                "train.batch_size must be at least 2 with byol, whose predictor has a batch norm, "
                f"got {self.train.batch_size}"
            )
        return self


class FinetuneTrainConfig(SupervisedConfig):
    """Section 5 of Contrastive Scene Contexts: 48 scenes a step there, on eight GPUs."""

    batch_size: int = Field(48, ge=1, description="scenes of a step of each process")
    class_weight_exponent: float = Field(
        0.0,
        ge=0,
        le=1,
        description="exponent of (points of the commonest class / of the class), the class weight",
    )
    lora_rank: int | None = Field(
        None, ge=1, description="train LoRA terms of this rank in place of the backbone"
    )
    n_scored_checkpoints: int = Field(
        1, ge=1, description="checkpoints scored in the last 15 % of the steps, and averaged"
    )


class DetectorConfig(Config):
    """The detector of the task detection."""

    name: Literal["sparse", "votenet"] = Field(
        "sparse",
        description="sparse: boxes at the voxels of two levels of the U-Net (FCAF3D, TR3D); "
        "votenet: votes of seeds, of the U-Net or of model.backbone=pointnet2",
    )
    strides: tuple[int, int] = Field((8, 16), description="of the levels of sparse, voxels")
    channels: int = Field(128, ge=1, description="of the head of sparse, at model.width=1")
    n_seeds: int = Field(1024, ge=16, description="of votenet")
    n_proposals: int = Field(256, ge=1, description="of votenet")
    n_points: int = Field(40_000, ge=1, description="random points that pointnet2 sees")
    max_turn: float = Field(5.0, ge=0, le=180, description="degrees a training scene is turned by")


class FinetuneConfig(Config):
    """Everything that decides the numbers of a fine-tuning run."""

    renamed: ClassVar = RENAMED | {
        "train.frozen_norm": "train.freeze_bn_fraction={}",
        "budget": "data.budget={}",
        "budget_seed": "data.budget_seed={}",
        "train.rarity": "train.class_weight_exponent={}",
        "train.low_rank": "train.lora_rank={}",
        "train.scored": "train.n_scored_checkpoints={}",
    }

    task: Literal["semantic", "instance", "detection"] = "semantic"
    seed: Seed = 0
    init: Path | None = Field(
        None, description="a run of any app, weights, or a published checkpoint; none: from scratch"
    )
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: FinetuneTrainConfig = FinetuneTrainConfig()
    head_layers: Literal[1, 2] = Field(1, description="of the semantic head; SSPL has 2")
    cluster_radius: float = Field(1.5, gt=0, description="voxels")
    min_points: int = Field(50, ge=1, description="voxels of an instance")
    min_region: int = Field(100, ge=1, description="points of an instance that is scored")
    detector: DetectorConfig = DetectorConfig()
    probe_voxels: int = Field(50_000, ge=1, description="labeled voxels that a probe learns from")

    @model_validator(mode="after")
    def _detectors_train_whole_and_weigh_alike(self) -> "FinetuneConfig":
        rank, weight = self.train.lora_rank, self.train.class_weight_exponent
        if self.task == "detection" and (rank is not None or weight):
            raise ValueError(
                "train.lora_rank must be none and train.class_weight_exponent 0 in detection, got "
                f"{rank} and {weight}"
            )
        return self

    @model_validator(mode="after")
    def _points_only_vote(self) -> "FinetuneConfig":
        votes = self.task == "detection" and self.detector.name == "votenet"
        if self.model.backbone == "pointnet2" and not votes:
            raise ValueError(
                "model.backbone must be a U-Net unless task is detection and detector.name "
                f"votenet, got pointnet2 with {self.task}"
            )
        return self


QUICK_ROOMS = {"backbone": "res16unet14a", "width": 0.5, "voxel_size": 0.08, "bn_momentum": 0.1}
QUICK_STREETS = {"backbone": "submanifold", "voxel_size": 0.2}
STREETS = {"kind": "streets", "features": "intensity", "n_scenes": 20, "n_validation": 4}
QUICK_PRETRAIN = {
    "steps": 1000,
    "batch_size": 2,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "schedule": "cosine",
}
QUICK_FINETUNE = {
    "steps": 600,
    "batch_size": 2,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "freeze_bn_fraction": 0.5,
    "elastic": False,
}

PRETRAIN_PRESETS: dict[str, dict] = {
    # Minutes on two CPU cores.
    "quick": {
        "model": QUICK_ROOMS,
        "train": QUICK_PRETRAIN,
        "contrast": {"augmentation": "strong", "temperature": 0.1, "n_matches": 2048},
        "teacher": {"queue_size": 16_384, "momentum": 0.99},
        "sspl": {"n_negatives": 4096, "refresh_every": 50},
        "monitor": {"every": 250},
    },
    "quick-lidar": {
        "data": STREETS,
        "model": QUICK_STREETS,
        "train": QUICK_PRETRAIN,
        "contrast": {"n_matches": 2048, "inner_radius": 0.4, "outer_radius": 4.0},
        "sspl": {
            "volume_size": [4.0, 4.0, 4.0],
            "min_points": 50,  # a tenth of fewer says little
            "n_negatives": 4096,
            "refresh_every": 50,
        },
        "teacher": {"queue_size": 16_384, "momentum": 0.99},
        "monitor": {"every": 250},
    },
    # Section 5 of CSC (eight GPUs, 4 pairs each).
    "paper": {},
    # Section 3.4 of SSPL (96 sweeps a step).
    "paper-lidar": {
        "method": "sspl",
        "data": {"kind": "semantickitti", "features": "intensity"},
        "model": {"backbone": "submanifold", "voxel_size": 0.1},
        "train": {
            "steps": 100_000,
            "batch_size": 96,
            "learning_rate": 0.06,
            "momentum": 0.9,
            "schedule": "cosine",
        },
        "contrast": {"inner_radius": 0.2, "outer_radius": 2.0},
        "sspl": {"volume_size": [4.0, 4.0, 4.0], "min_points": 5},
    },
}

FINETUNE_PRESETS: dict[str, dict] = {
    "quick": {
        "model": {**QUICK_ROOMS, "views": 4},
        "train": QUICK_FINETUNE,
        "min_points": 5,
        "detector": {"strides": [2, 4], "n_seeds": 256, "n_proposals": 64, "n_points": 10_000},
    },
    "quick-lidar": {
        "data": STREETS,
        "model": QUICK_STREETS,
        "head_layers": 2,
        "train": {**QUICK_FINETUNE, "class_weight_exponent": 1 / 3, "n_scored_checkpoints": 5},
    },
    "paper": {},
    # Section 4.3 of SSPL (Zhang et al., NeurIPS 2022), with the optimizer of the work that it
    # follows (JS3C-Net).
    "paper-lidar": {
        "data": {"kind": "semantickitti", "features": "intensity"},
        "model": {"backbone": "submanifold", "voxel_size": 0.1},
        "head_layers": 2,
        "train": {
            "batch_size": 2,
            "optimizer": "adamw",
            "learning_rate": 0.001,
            "elastic": False,
            "class_weight_exponent": 1 / 3,
            "n_scored_checkpoints": 5,
        },
    },
}
