"""The configuration of a label-free run: one pydantic tree, and its presets.

"The paper" is Kang et al., "Hierarchical Intra-modal Correlation Learning for Label-free 3D
Semantic Segmentation", CVPR 2024 (HICL).
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pcl_methods.settings import DataConfig, ModelConfig
from pcl_run.config import Config
from pcl_run.seeding import Seed
from pcl_run.training import TrainingConfig

# How CLIP's last block is read: identity is MaskCLIP, as in the paper; own, as it was trained.
Attention = Literal["identity", "sclip", "clearclip", "naclip", "own"]
# Geometric sets: of the scan's own superpoints, of its mesh, or made; auto takes the first it can.
Sets = Literal["auto", "given", "mesh", "points", "supervoxels"]


class ClassesConfig(Config):
    """What is looked for; the classes of the data unless names are given."""

    names: tuple[str, ...] = Field((), description="of the classes, in place of those of the data")
    synonyms: dict[str, tuple[str, ...]] = Field(
        {}, description="other words for a class, by its name; their embeddings are averaged"
    )
    templates: tuple[str, ...] = Field(
        (), description="prompts with {} for the name; the 85 of MaskCLIP by default"
    )


class ImagesConfig(Config):
    """How images become labels of points."""

    clip: str = Field(
        "small",
        description="small (comes with this app), MODEL/WEIGHTS of open_clip such as "
        "ViT-B-16/openai or ViT-B-16/FILE, or a folder with open_clip_config.json",
    )
    attention: Attention | None = Field(
        None,
        description="how CLIP's last block is read; none: identity, or own for small",
    )
    short_side: int | None = Field(
        None, ge=8, description="pixels that images are resized to; none: their own"
    )
    window: int | None = Field(None, ge=8, description="pixels of a sliding window; none: whole")
    stride: int | None = Field(
        None, ge=1, description="pixels between two windows; small takes 120, 64 and 32 of these"
    )
    denoise: bool = Field(False, description="leave out classes that an image does not show")
    smooth_keys: bool = Field(False, description="gather evidence over cells with like keys")
    mirrored: bool = Field(
        False, description="count a pixel only if the mirrored image gives it the same class"
    )
    agreement: float = Field(
        0.0, ge=0, le=1, description="least share of the views of a point that have one label"
    )
    sets: Sets = "auto"
    absolute_tolerance: float = Field(
        0.05, ge=0, description="metres between the depth of a point and that of its pixel"
    )
    relative_tolerance: float | None = Field(
        None, ge=0, description="share of the depth added to it; none: 0, or 0.05 without depth"
    )
    labels: Path | None = Field(
        None, description="folder that `labelfree-cli labels` wrote; none: made in the run"
    )
    border: int = Field(0, ge=0, description="pixels at the rim of an image that see nothing")
    near: float = Field(0.0, ge=0, description="metres before the camera that see nothing")


class MethodConfig(Config):
    """The method; every row of Table 2 of the paper is a setting of these."""

    name: Literal["hicl", "clip2scene", "openscene"] = "hicl"
    intra_set: bool = Field(True, description="labels refined by a vote in geometric sets")
    intra_scene: bool = Field(True, description="a transformer over points of a scene")
    inter_scene: bool = Field(True, description="a transformer over points of all scenes of a step")
    feedback: bool = Field(True, description="the network learns what the transformers gather")
    correlation_epoch: int = Field(11, ge=1, description="first epoch of the transformers")
    feedback_epoch: int = Field(21, ge=1, description="first epoch of the feedback")
    n_samples: int = Field(1024, ge=1, description="voxels of a scene that are correlated")
    max_views: int = Field(8, ge=1, description="of a scene in an epoch")
    n_layers: int = Field(3, ge=1, description="of a transformer")
    n_heads: int = Field(8, ge=1)
    block: Literal["vit", "linear"] = Field("vit", description="linear is Eq. 3 of the paper")
    spatial: bool = Field(True, description="clip2scene: features of the images are learned too")
    self_training_epoch: int | None = Field(
        11, ge=1, description="clip2scene: first epoch that may learn the network's own labels"
    )

    @model_validator(mode="after")
    def _feedback_needs_a_transformer(self) -> "MethodConfig":
        if self.feedback and not (self.intra_scene or self.inter_scene):
            raise ValueError(
                "feedback must be false where intra_scene and inter_scene are, got true"
            )
        return self


class TrainConfig(TrainingConfig):
    """How the network learns."""

    batch_size: int = Field(8, ge=1, description="scenes of a step")
    transformer_learning_rate: float = Field(2e-4, gt=0, description="of AdamW")
    elastic: bool = Field(False, description="elastic distortion of the scenes")


class RunConfig(Config):
    """Everything that decides the numbers of a run."""

    seed: Seed = Field(0, description="of weights, batches and training, not of the data")
    data: DataConfig = DataConfig(n_scenes=25, n_validation=5, budget="none")
    classes: ClassesConfig = ClassesConfig()
    images: ImagesConfig = ImagesConfig()
    model: ModelConfig = ModelConfig(backbone="res16unet14a", voxel_size=0.05)
    method: MethodConfig = MethodConfig()
    train: TrainConfig = TrainConfig(steps=18_015, learning_rate=0.2)

    @model_validator(mode="after")
    def _no_label_is_learned_from(self) -> "RunConfig":
        if self.data.labeled or self.data.budget != "none":
            raise ValueError(
                "data.budget must be none and data.labeled empty, as no label is learned from, got "
                f"{self.data.budget} and {self.data.labeled}"
            )
        return self


PRESETS: dict[str, dict] = {
    # Minutes on two CPU cores.
    "quick": {
        "model": {"width": 0.5, "voxel_size": 0.08, "bn_momentum": 0.1, "views": 4},
        "method": {"n_samples": 256},
        "train": {
            "steps": 800,
            "batch_size": 2,
            "optimizer": "adamw",
            "learning_rate": 0.003,
            "checkpoint_every": 100,
        },
    },
    # Section 4.1 of the paper: ScanNet with ViT-B/16, which `images.clip` must name.
    "paper": {},
}
