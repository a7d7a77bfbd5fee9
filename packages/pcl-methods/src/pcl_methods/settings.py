"""Groups of settings that every app has. Methods never see them: apps turn them into arguments.

Imports nothing heavy, so that a wrong setting is answered at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from pcl_run.config import Config, absolute
from pcl_run.seeding import Seed
from pcl_run.training import TrainingConfig

if TYPE_CHECKING:
    from pcl_methods.segmentation.network import Backbone


class DataConfig(Config):
    """Which scenes there are, which labels of them may be learned from, which are held out."""

    kind: str = Field(
        "auto",
        description="rooms, streets, or a kind that data-cli reads; auto: a folder where there is "
        "a root, otherwise rooms",
    )
    root: Path | None = Field(None, description="folder of the data set; none for rooms, streets")
    options: dict[str, Any] = Field(
        {},
        description="of the reader: data.options.label_set=nyu40; of rooms: "
        "data.options.vocabulary=long-tail",
    )
    split: str | None = Field(None, description="official split, or names with commas")
    labeled: tuple[str, ...] = Field((), description="names (globs) of the labeled scenes")
    budget: str = Field(
        "100%",
        description="labels that may be learned from, where `labeled` is empty: 5%, 10scenes, "
        "20pts or 4boxes (of each scene), every-100th or every-100th-sequence (of sweeps), none, "
        "or a list (.txt scenes, .npz points)",
    )
    budget_seed: Seed = Field(0, description="of the random choice of scenes or points")
    validation: tuple[str, ...] = Field((), description="names (globs) of the held-out scenes")
    validation_split: str | None = Field(None, description="official split that is held out")
    n_validation: int = Field(
        10,
        ge=1,
        description="held out where neither of these is given: the first rooms or sequences; of a "
        "folder at random",
    )
    n_scenes: int = Field(60, ge=2, description="rooms, or sequences of streets")
    n_sweeps: int = Field(10, ge=1, le=20, description="of a sequence of streets, one a second")
    world_seed: Seed = Field(0, description="another one gives other rooms or streets")
    features: Literal["colors", "intensity"] = Field(
        "colors", description="what the network reads of a point"
    )

    @field_validator("budget")
    @classmethod
    def _a_list_is_found_from_anywhere(cls, budget: str) -> str:
        return str(absolute(Path(budget))) if budget.endswith((".txt", ".npz")) else budget

    @field_validator("options", mode="before")
    @classmethod
    def _options_are_named(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            return options
        raise ValueError(
            f"must be given by name, such as data.options.label_set=scannet20, got {options!r}"
        )


FREE = {"engine", "checkpoint_activations", "views"}  # of a trained network, may still be chosen


class ModelConfig(Config):
    """The backbone, and how it is computed."""

    backbone: Literal[
        "res16unet14a", "res16unet18a", "res16unet34c", "submanifold", "spvcnn", "pointnet2"
    ] = "res16unet34c"  # pointnet2: of votenet in detection alone
    width: float = Field(1.0, gt=0, description="factor on every inner channel count")
    voxel_size: float = Field(0.02, gt=0, description="metres")
    bn_momentum: float = Field(
        0.02, gt=0, le=1, description="of batch norms; short runs need a larger one"
    )
    views: int = Field(
        1, ge=1, description="turned and tilted views of a scene that predictions are the mean of"
    )
    checkpoint_activations: bool = Field(
        False, description="train with less memory and a second forward pass of each block"
    )
    engine: Literal["torch", "minkowski", "spconv"] = Field(
        "torch", description="what computes sparse convolutions"
    )

    def identity(self) -> dict[str, Any]:
        """What weights must agree with to fit."""
        return {"backbone": self.backbone, "width": self.width}

    def check_trained(self, trained: Mapping[str, Any]) -> None:
        """Return quietly if the weights of other settings serve; how they are computed may change.

        Args:
            trained: the settings that a network was trained with.

        Raises:
            ValueError: naming the first setting that must stay.
        """
        for key, value in self.model_dump(exclude=FREE).items():
            if value != trained[key]:
                raise ValueError(f"model.{key} must stay {trained[key]}, as trained, got {value}")


class SupervisedConfig(TrainingConfig):
    """What trainings with labels share."""

    freeze_bn_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the steps, the last, that train with the statistics of batch norms "
        "fixed, as they are at test; for batches of one or two scenes",
    )
    elastic: bool = Field(True, description="elastic distortion of the training scenes, not LiDAR")


def build_backbone(model: ModelConfig, features: str) -> "Backbone":
    """The backbone of the settings with fresh weights.

    Args:
        model: the settings; their engine is in use from now on.
        features: what it reads of a point, `colors` or `intensity`.

    Raises:
        ValueError: if the library of the engine cannot be imported.
    """
    from pcl_backbones import checkpoint_activations, use_engine
    from pcl_methods.segmentation import network
    from pcl_methods.segmentation.features import FEATURES

    try:
        use_engine(model.engine)
    except ImportError as error:
        raise ValueError(f"model.engine must be installed, got {model.engine}: {error}") from None
    backbone = network.build_backbone(
        model.backbone, FEATURES[features], width=model.width, bn_momentum=model.bn_momentum
    )
    if model.checkpoint_activations:
        checkpoint_activations(backbone)
    return backbone
