"""`pretrain-cli pairs`: camera frames to pairs of clouds."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pcl_data import Scene
from pcl_data.splits import SceneSplit
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.kept_split import check_split
from pcl_methods.kinds import kind_of
from pcl_methods.pretraining.frame_pairs import check_place, write_frame_pairs
from pcl_methods.settings import DataConfig
from pcl_run.config import load_config
from pcl_run.counting import counting
from pcl_synth import SyntheticRooms
from pcl_synth.rooms import generate_room


def write_pairs(
    overrides: Sequence[str],
    out: Path,
    *,
    voxel_size: float,
    min_overlap: float,
    n_workers: int,
) -> dict[str, Any]:
    """Write the frames of every scene and say how many pairs there are.

    Raises:
        ValueError: if a setting or a scene is not as it must be.
    """
    settings = [word.removeprefix("data.") for word in overrides]  # as messages name them
    config = load_config(DataConfig, presets={}, overrides=settings)
    split = open_split(config, scored=False)
    check_place(
        out, source=_source(config) | {"voxel_size": voxel_size, "min_overlap": min_overlap}
    )
    check_split(split, SceneNeeds(frames=kind_of(config) != "rooms"))
    names = sorted([*split.training, *split.validation])
    with counting("scenes", len(names)) as done:
        counts = write_frame_pairs(
            names,
            _loader(config, split),
            out,
            source=_source(config),
            voxel_size=voxel_size,
            min_overlap=min_overlap,
            n_workers=n_workers,
            report=done,
        )
    return {"out": str(out), "scenes": len(counts), "pairs": sum(counts.values())}


def _source(config: DataConfig) -> dict[str, Any]:
    """What must be the same where pairs are added to a folder."""
    return {
        "kind": kind_of(config),
        "root": None if config.root is None else str(config.root.resolve()),
        "options": config.options,
        "world_seed": config.world_seed,
    }


def _loader(config: DataConfig, split: SceneSplit) -> Callable[[str], Scene]:
    """Reads scenes with their frames; those of rooms are made, as their scenes keep none."""
    if kind_of(config) != "rooms":
        return split.load
    rooms = SyntheticRooms(config.n_scenes, seed=config.world_seed)
    return partial(_room, config.world_seed, rooms.names)


def _room(seed: int, names: Sequence[str], name: str) -> Scene:
    return generate_room(seed, names.index(name), frames=True)
