"""The scenes of a run: opened by a word, split into those to learn from and those held out."""

import os
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import partial

from pcl_data import LabelSet, Scene
from pcl_data.dataset import Dataset
from pcl_data.opening import open_dataset, read_options
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_synth import SyntheticRooms, SyntheticStreets
from pretrain_cli.config import DataConfig

WORLDS = {"rooms": SyntheticRooms, "streets": SyntheticStreets}
SWEEP_STRIDE = 10  # of ten sweeps a second: one a second, as neighbours are alike


World = SceneSplit


def open_world(config: DataConfig) -> World:
    """The scenes that `config` names.

    Held out are those of `config.validation_split`, and those that match `config.validation`. Where
    neither is given: of rooms the first; of streets whole sequences, whose sweeps resemble each
    other; of other data none.

    Raises:
        ValueError: if a pattern matches nothing, nothing is left to learn from, or a root is given
            or missing where it must not be.
    """
    dataset = _open(config, config.split)
    names = tuple(dataset.names)
    places = {name: (dataset, index) for index, name in enumerate(names)}
    held = _held_out(config, names)
    training = tuple(name for name in names if name not in set(held))
    if config.validation_split is not None:
        other = _open(config, config.validation_split)
        places |= {name: (other, index) for index, name in enumerate(other.names)}
        held += tuple(other.names)
        training = tuple(name for name in training if name not in set(held))
    if not training:
        raise ValueError(f"data must leave scenes to learn from, got all {len(names)} held out")
    budget = LabelBudget("100%", training)
    load = partial(_load, places)
    return SceneSplit(config.kind, dataset.label_set, training, held, budget, load)


def _load(places: Mapping[str, tuple[Dataset, int]], name: str) -> Scene:
    dataset, index = places[name]
    return dataset[index]


def open_labeled_world(config: DataConfig) -> tuple[World, LabelSet]:
    """The scenes that `config` names, some of them held out, and the meaning of their labels.

    Raises:
        ValueError: as `open_world`, and if no scene is held out or there are no labels.
    """
    world = open_world(config)
    if not world.validation:
        raise ValueError("data.validation must name held-out scenes, got none")
    if world.label_set is None:
        raise ValueError(f"data must have labels, got none in {config.kind}")
    return world, world.label_set


def _open(config: DataConfig, split: str | None) -> Dataset:
    """A data set; of a synthetic one, what is missing is made in parallel."""
    reader = WORLDS.get(config.kind)
    if reader is None:
        if config.root is None:
            raise ValueError(f"data.root must name the folder of {config.kind}, got none")
        return open_dataset(config.root, config.kind, split, config.options)
    for key in ("root", "split", "validation_split"):
        if getattr(config, key) is not None:
            raise ValueError(
                f"data.{key} must not be given with {config.kind}, got {getattr(config, key)}"
            )
    options = read_options(reader, config.options)
    if config.kind == "streets":
        options |= {"n_sweeps": config.n_sweeps, "stride": SWEEP_STRIDE}
    dataset = reader(config.n_scenes, seed=config.world_seed, **options)
    dataset.prepare(n_workers=os.cpu_count() or 1)
    return dataset


def _held_out(config: DataConfig, names: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in config.validation:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(f"data.validation must match scenes, got {pattern}")
    if config.validation:
        return tuple(name for name in names if any(fnmatch(name, p) for p in config.validation))
    if config.kind not in WORLDS:
        return ()
    first = list(dict.fromkeys(_place(name) for name in names))[: config.n_validation]
    return tuple(name for name in names if _place(name) in first)


def _place(name: str) -> str:
    """What scenes share that were taken at one place: the sequence of a sweep."""
    return name.rpartition("/")[0] or name
