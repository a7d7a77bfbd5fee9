"""Kinds of data by a word: those that pcl-data reads, and generated worlds."""

from collections.abc import Callable, Mapping
from typing import Any

from pcl_data.opening import KINDS, chosen, read_options
from pcl_methods.settings import DataConfig
from pcl_synth import SyntheticRooms, SyntheticStreets
from pcl_synth.rooms.dataset import rooms_name
from pcl_synth.streets.dataset import VERSION as STREETS_VERSION

WORLDS: dict[str, Callable[..., Any]] = {"rooms": SyntheticRooms, "streets": SyntheticStreets}
OWN = ("folder", "shards", "frames")  # kinds whose data has no name of its own


def kind_of(config: DataConfig) -> str:
    """The kind of the data, `auto` resolved.

    Raises:
        ValueError: if there is no such kind: the nearest one.
    """
    if config.kind == "auto":
        return "rooms" if config.root is None else "folder"
    return chosen("data.kind", config.kind, ["auto", *WORLDS, *KINDS])


def data_name(config: DataConfig) -> str:
    """The name of the data in a protocol.

    Example:
        >>> from pathlib import Path
        >>> own = DataConfig(root=Path("my/scans"))
        >>> data_name(DataConfig(world_seed=7)), data_name(own)
        ('rooms-v5-world7', 'folder:scans')
        >>> data_name(DataConfig(options={"vocabulary": "long-tail"}))
        'rooms-longtail-v1'
    """
    kind = kind_of(config)
    if kind in WORLDS:
        other = f"-world{config.world_seed}" if config.world_seed else ""
        return f"{_world_name(kind, config.options)}{other}"
    if kind in OWN and config.root is not None:
        return f"{kind}:{config.root.resolve().name}"
    return kind


def _world_name(kind: str, options: Mapping[str, Any]) -> str:
    """The name of a generated world: its version, and the options that change its scenes."""
    if kind == "streets":
        return f"streets-v{STREETS_VERSION}"
    read = read_options(WORLDS[kind], options)
    return rooms_name(**{key: read[key] for key in ("vocabulary", "n_flat_rooms") if key in read})


def place_of(name: str) -> str:
    """What scenes share that were taken at one place: the sequence of a sweep."""
    return name.rpartition("/")[0] or name
