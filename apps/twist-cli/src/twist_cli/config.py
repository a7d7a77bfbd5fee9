"""The configuration of a self-training run: one pydantic tree, and its presets.

"The paper" is Chu et al., "TWIST", CVPR 2022.
"""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from pcl_methods.settings import DataConfig, ModelConfig, SupervisedConfig
from pcl_run.config import Config
from pcl_run.seeding import Seed

TargetKind = Literal["none", "one-hot", "soft", "corrected", "aligned", "adjusted", "freematch"]
PseudoLabelKind = Literal["none", "semantic", "offset", "points", "proposals", "recorrected"]


class TrainConfig(SupervisedConfig):
    """One round of training (section 5.1 of the paper)."""

    steps: int = Field(10_000, ge=1, description="steps of a round")
    initial_steps: int | None = Field(None, ge=1, description="of round 0; none: as the others")
    labeled_batch_size: int = Field(4, ge=1, description="labeled scenes of a batch")
    unlabeled_batch_size: int = Field(4, ge=0, description="pseudo-labeled scenes of a batch")
    recorrector_learning_rate: float = Field(0.005, gt=0)


class TwistConfig(Config):
    """The method; every row of Tables 4, 5 and 6 of the paper is a setting of these."""

    rounds: int = Field(3, ge=0, description="self-training rounds after round 0")
    pseudo_labels: PseudoLabelKind = "recorrected"  # Table 4, rows I to VI in this order
    offset_to_semantic: bool = Field(True, description="Table 5; false: point-wise classes")
    semantic_to_offset: bool = Field(True, description="Table 5; false: class-agnostic clusters")
    recorrector_features: Literal["backbone", "colors"] = "backbone"
    transform: bool = Field(True, description="Table 6: rotate, shift and scale proposals")
    mutate: bool = Field(True, description="Table 6: crop and expand proposals")
    score_threshold: float = Field(0.5, ge=0, le=1)
    class_threshold: float | None = Field(
        None, ge=0, le=1, description="confidence in a proposal's class, Ψ's times the mean of Φ's"
    )
    point_threshold: float = Field(0.9, ge=0, le=1, description="softmax, point-wise baselines")
    stuff_threshold: float | None = Field(
        None, ge=0, le=1, description="softmax above which walls and floors get pseudo-labels"
    )
    cluster_radius: float = Field(1.5, gt=0, description="voxels")
    min_points: int = Field(50, ge=1, description="voxels of a proposal")
    max_proposals: int = Field(200, ge=1, description="proposals of a batch that train Ψ")
    recorrector_start: int = Field(1000, ge=0, description="steps of round 0 before Ψ trains")
    rectify_at_test: bool = Field(False, description="Ψ re-classifies the final instances")


class CalibrationConfig(Config):
    """Soft labels, and what is known of how sure the networks may be.

    Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024.
    """

    scenes: int = Field(
        0, ge=0, description="labeled scenes that teach nothing and measure the calibration error"
    )
    # Soft labels by the moving average of the network, beside the pseudo-labels: as they are
    # (soft), by the calibration error of each class (corrected), or as a peer makes them.
    targets: TargetKind = "none"
    weight: float = Field(1.0, gt=0, description="of the loss of the soft labels")
    momentum: float = Field(0.99, ge=0, le=1, description="share that the average keeps in a step")
    strength: float = Field(2.0, ge=0, description="factor of the calibration error")
    threshold: float = Field(0.7, ge=0, le=1, description="of one-hot targets")
    # Of annotated classes, the last two by the features of the network as a round begins.
    smoothing: Literal["none", "uniform", "similarity", "frequency"] = "none"
    epsilon: float = Field(0.1, ge=0, le=1, description="what an annotated class gives away")
    proposals: bool = Field(
        False,
        description="correct the confidence in the class of a proposal before class_threshold",
    )
    # What the points of a proposal learn: its class, or all classes as the re-correction network
    # says, by its calibration error of each class if corrected.
    proposal_targets: Literal["one-hot", "soft", "corrected"] = "one-hot"

    @model_validator(mode="after")
    def _what_is_corrected_is_measured(self) -> "CalibrationConfig":
        corrects = "corrected" in (self.targets, self.proposal_targets) or self.proposals
        if corrects and not self.scenes:
            raise ValueError(
                "scenes must be at least 1 where targets or proposal_targets is corrected or "
                "proposals true, got 0"
            )
        return self


class RunConfig(Config):
    """Everything that decides the numbers of a run."""

    renamed: ClassVar = {
        "data.n_rooms": "data.n_scenes={}",
        "data.n_labeled": "data.budget={}scenes",
        "data.label_set": "data.options.label_set={}",
        "data.label_ids": "data.options.label_ids={}",
        "data.max_extent": "data.options.max_extent={}",
        "model.norm_momentum": "model.bn_momentum={}",
        "train.frozen_norm": "train.freeze_bn_fraction={}",
        "train.labeled_scenes": "train.labeled_batch_size={}",
        "train.unlabeled_scenes": "train.unlabeled_batch_size={}",
    }

    seed: Seed = Field(0, description="of weights, batches and training, not of the data")
    init: Path | None = Field(
        None, description="what round 0 starts from: a run of any app, weights, or a published file"
    )
    labels: Path | None = Field(
        None,
        description="folder of `labelfree-cli labels`, or a run of it, whose classes take the "
        "place of annotations",
    )
    data: DataConfig = DataConfig(n_scenes=35, n_validation=5, budget="10scenes")
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    twist: TwistConfig = TwistConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    min_region: int = Field(100, ge=1, description="points of an instance that is scored")

    @model_validator(mode="after")
    def _similarity_needs_features(self) -> "RunConfig":
        smoothing = self.calibration.smoothing
        if smoothing in ("similarity", "frequency") and self.init is None:
            raise ValueError(
                "init must name a run where calibration.smoothing is similarity or frequency, as "
                f"fresh weights tell nothing of classes, got none with {smoothing}"
            )
        return self

    @model_validator(mode="after")
    def _soft_proposals_are_judged(self) -> "RunConfig":
        kind, targets = self.twist.pseudo_labels, self.calibration.proposal_targets
        if targets != "one-hot" and kind != "recorrected":
            raise ValueError(
                "calibration.proposal_targets must be one-hot unless twist.pseudo_labels is "
                f"recorrected, as the re-correction network gives the others, got {targets} with "
                f"{kind}"
            )
        return self

    @model_validator(mode="after")
    def _unlabeled_batch_size_need_labels(self) -> "RunConfig":
        learns = self.twist.pseudo_labels != "none" or self.calibration.targets != "none"
        if learns and self.train.unlabeled_batch_size < 1:
            raise ValueError(
                "train.unlabeled_batch_size must be at least 1 unless twist.pseudo_labels and "
                f"calibration.targets are none, got {self.train.unlabeled_batch_size}"
            )
        return self


PRESETS: dict[str, dict] = {
    # Minutes on two CPU cores.
    "quick": {
        "model": {
            "backbone": "res16unet14a",
            "width": 0.5,
            "voxel_size": 0.08,
            "views": 4,
            "bn_momentum": 0.1,
        },
        "train": {
            "steps": 200,
            "initial_steps": 800,
            "labeled_batch_size": 1,
            "unlabeled_batch_size": 1,
            "optimizer": "adamw",
            "learning_rate": 0.003,
            "recorrector_learning_rate": 0.001,
            "freeze_bn_fraction": 0.5,
            "elastic": False,
            "checkpoint_every": 50,
        },
        "twist": {
            "min_points": 5,
            "max_proposals": 100,
            "recorrector_start": 100,
            "class_threshold": 0.7,
            "stuff_threshold": 0.97,
        },
    },
    # Section 5.1 of the paper (four GPUs there).
    "paper": {},
}
