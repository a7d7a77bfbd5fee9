"""Groups of settings that every app has. Methods never see them: apps turn them into arguments."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pcl_run.config import Config
from pcl_run.training import TrainingConfig

if TYPE_CHECKING:
    from pcl_methods.segmentation.network import Backbone


class ModelConfig(Config):
    """The backbone, and how it is computed."""

    backbone: Literal["res16unet14a", "res16unet18a", "res16unet34c", "submanifold"] = (
        "res16unet34c"
    )
    width: float = Field(1.0, gt=0, description="factor on every inner channel count")
    voxel_size: float = Field(0.02, gt=0, description="metres")
    bn_momentum: float = Field(
        0.02, gt=0, le=1, description="of batch norms; short runs need a larger one"
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
    """
    from pcl_backbones import checkpoint_activations, use_engine
    from pcl_methods.segmentation import network
    from pcl_methods.segmentation.features import FEATURES

    use_engine(model.engine)
    backbone = network.build_backbone(
        model.backbone, FEATURES[features], width=model.width, bn_momentum=model.bn_momentum
    )
    if model.checkpoint_activations:
        checkpoint_activations(backbone)
    return backbone
