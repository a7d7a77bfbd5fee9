"""The scenes of a label-free run: those of every app, with their images."""

from pcl_data.opening import HELD_OUT
from pcl_data.splits import SceneSplit
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.kept_split import KeptSplit
from pcl_methods.kinds import WORLDS, kind_of
from pcl_methods.settings import DataConfig

IMAGES = {"rooms": {"frames": True}, "streets": {"cameras": True}}  # of generated worlds


def open_scenes(data: DataConfig, kept: KeptSplit | None = None) -> SceneSplit:
    """The scenes that settings name; held-out ones where there is something to score."""
    data = with_images(data)
    return open_split(data, scored=is_scored(data), kept=kept)


def with_images(data: DataConfig) -> DataConfig:
    """The settings that read images: of generated worlds, and of folders of posed images."""
    if data.kind == "auto" and data.root is not None:
        if (data.root / "pose").is_dir():  # one recording
            one = {"kind": "frames", "root": data.root.parent, "split": data.root.name}
            return data.model_copy(update=one)
        if any(data.root.glob("*/pose")):
            return data.model_copy(update={"kind": "frames"})
    options = IMAGES.get(kind_of(data), {}) | data.options
    return data.model_copy(update={"options": options})


def is_scored(data: DataConfig) -> bool:
    """Whether scenes are held out and scored: generated ones, official splits, and named ones."""
    named = bool(data.validation or data.validation_split)
    return named or kind_of(data) in WORLDS or kind_of(data) in HELD_OUT


def needs_of(data: DataConfig, voxel_size: float | None, *, frames: bool = True) -> SceneNeeds:
    """What scenes must have."""
    scored = ("labels",) if is_scored(with_images(data)) else ()
    features = None if voxel_size is None else data.features
    return SceneNeeds(voxel_size, features, scored=scored, frames=frames)
