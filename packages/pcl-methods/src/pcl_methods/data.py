"""The scenes of a run, opened in the same way for every app."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcl_data import SCANNET20, LabelSet
from pcl_data.dataset import Dataset
from pcl_data.opening import HELD_OUT, open_dataset, read_options
from pcl_data.splits import (
    LabelBudget,
    SceneSplit,
    limited_reconstructions,
)
from pcl_methods.budgets import matching, open_budget
from pcl_methods.kinds import WORLDS, data_name, kind_of, place_of
from pcl_methods.run_scenes import RunScenes, options_of_runs
from pcl_methods.settings import DataConfig
from pcl_run.threads import usable_cores

if TYPE_CHECKING:
    from pcl_methods.kept_split import KeptSplit

SWEEP_STRIDE = 10  # of ten sweeps a second: one a second, as neighbours are alike
MAX_EXTENT = 200.0  # metres; a larger scan of a folder is an error unless the options say more


def open_split(
    config: DataConfig, *, scored: bool = True, kept: "KeptSplit | None" = None
) -> SceneSplit:
    """The scenes that the settings name, by role.

    Held-out scenes are taken first, so that they stay the same under every label budget. They are
    those that match `validation`, in `validation_split` where that is given; or all of
    `validation_split`; or of generated worlds the first rooms or sequences, which are random
    already; or, where scores are wanted, the official split that is scored, and of a folder
    `n_validation` at random, the same for every seed.

    Args:
        config: the settings.
        scored: whether there must be held-out scenes and labels.
        kept: the roles that a run began with, which stay.

    Raises:
        ValueError: if a word is unknown, a pattern matches nothing, a scene would have two roles,
            scenes run out, nothing says what labels mean, or a kept scene is gone.
        FileNotFoundError: if files are missing.
    """
    dataset = _open(config, config.split)
    sources = dict.fromkeys(dataset.names, dataset)
    validation_split = config.validation_split
    if validation_split is None and scored and not config.validation:
        validation_split = HELD_OUT.get(kind_of(config))
    other = None if validation_split is None else _open(config, validation_split)
    held = () if other is None else _scored(config, other)
    sources |= dict.fromkeys(held, other) if other is not None else {}
    if kept is not None:
        kept.check_names(sources, data_name(config))
        training, held = kept.training, kept.validation
    else:
        names = tuple(dataset.names)
        held = _held_out(config, names, scored) if other is None else held
        training = tuple(name for name in names if name not in set(held))
    if not training:
        raise ValueError(f"data must leave scenes to learn from, got all {len(held)} held out")
    if scored:
        for each in {id(source): source for source in sources.values()}.values():
            _assume_labels(config, each, SCANNET20 if config.features == "colors" else None)
    budget = open_budget(config, training, held)
    if kept is not None:
        kept.check_budget(budget.name, budget.scenes)
    needed = {*budget.scenes, *held} if scored else set()
    load = RunScenes(sources, frozenset(sources) - needed)
    data, columns = data_name(config), load.unread_columns
    return SceneSplit(data, dataset.label_set, training, held, budget, load, columns)


def open_test_scenes(config: DataConfig, label_set: LabelSet) -> SceneSplit:
    """Scenes to be scored alone: of `validation_split`, `split`, or the split that is scored.

    Of these the ones that match `validation`, or all.

    Args:
        config: the settings.
        label_set: of a folder that does not say what its labels mean.

    Raises:
        ValueError: as `open_split`.
        FileNotFoundError: if files are missing.
    """
    split = config.validation_split or config.split or HELD_OUT.get(kind_of(config))
    dataset = _open(config, split)
    _assume_labels(config, dataset, label_set)
    names = _scored(config, dataset)
    load = RunScenes(dict.fromkeys(names, dataset))
    data, budget, columns = data_name(config), LabelBudget("none", ()), load.unread_columns
    return SceneSplit(data, dataset.label_set, (), names, budget, load, columns)


def open_scored(
    config: DataConfig,
    trained: Mapping[str, Any],
    label_set: LabelSet,
    kept: "KeptSplit | None" = None,
) -> SceneSplit:
    """What a trained model is scored on: held-out scenes of its own data, or all of other data.

    Scenes that it learned from are never scored unless the settings name them.

    Args:
        config: the settings.
        trained: the settings of data that it was trained with, as JSON values.
        label_set: of the model.
        kept: the roles that its run began with, which stay where the settings are the same.

    Raises:
        ValueError: as `open_split`.
        FileNotFoundError: if files are missing.
    """
    given = config.model_dump(mode="json")
    differs = {key for key in given if given[key] != trained.get(key)}
    if differs & {"kind", "root", "split"}:
        return open_test_scenes(config, label_set)
    if kept is None or differs - {"options", "features"}:
        return open_split(config)
    return open_split(config, kept=kept)


def with_other_data(settings: Mapping[str, Any], root: Path | None) -> dict[str, Any]:
    """The settings of a trained model, as data in another folder is scored with them.

    Args:
        settings: nested, with a group `data`.
        root: of the other data, of which nothing is learned; None keeps the model's own, and so
            does the folder of that.
    """
    own = DataConfig(**settings["data"])
    if root is None or (own.root is not None and own.root.resolve() == root.resolve()):
        return dict(settings)
    # Options are of a reader: those of generated rooms, or of ScanNet, mean nothing to a folder.
    options = own.options if kind_of(own) == "folder" else {}
    data = {"options": options, "features": own.features, "root": str(root)}
    return {**settings, "data": data}


def spread(names: Sequence[str], count: int) -> Sequence[str]:
    """At most so many of the names, evenly over all: neighbours are often alike, as sweeps are.

    Example:
        >>> spread("abcdefg", 3)
        'adg'
    """
    return names[:: math.ceil(len(names) / count)] if names else names


def _assume_labels(config: DataConfig, dataset: Dataset, label_set: LabelSet | None) -> None:
    """Say what the labels of own scans mean where neither they nor the settings do."""
    if dataset.label_set is not None:
        return
    hint = "data.options.label_set, or a dataset.yaml beside the scans, says what they mean"
    if label_set is None or kind_of(config) not in ("folder", "shards"):
        raise ValueError(f"data must have labels, got none in {data_name(config)}: {hint}")
    warnings.warn(
        f"labels of {data_name(config)} are read as train ids of {label_set.name}: {hint}",
        stacklevel=3,
    )
    dataset.label_set = label_set


def _open(config: DataConfig, split: str | None) -> Dataset:
    """A data set; of a generated one, what is missing is made in parallel."""
    kind = kind_of(config)
    if kind not in WORLDS:
        if config.root is None:
            raise ValueError(f"data.root must name the folder of {kind}, got none")
        options = {"max_extent": MAX_EXTENT} if kind == "folder" else {}
        with options_of_runs():
            return open_dataset(config.root, kind, split, options | config.options)
    for key in ("root", "split", "validation_split"):
        if getattr(config, key) is not None:
            raise ValueError(f"data.{key} must not be given with {kind}")
    options = read_options(WORLDS[kind], config.options)
    if kind == "streets":
        options |= {"n_sweeps": config.n_sweeps, "stride": SWEEP_STRIDE}
    dataset = WORLDS[kind](config.n_scenes, seed=config.world_seed, **options)
    dataset.prepare(n_workers=usable_cores())
    return dataset


def _held_out(config: DataConfig, names: tuple[str, ...], scored: bool) -> tuple[str, ...]:
    if config.validation:
        return matching("data.validation", config.validation, names)
    if kind_of(config) in WORLDS:
        first = list(dict.fromkeys(place_of(name) for name in names))[: config.n_validation]
        return tuple(name for name in names if place_of(name) in first)
    if not scored:
        return ()
    if config.n_validation >= len(names):
        raise ValueError(
            f"data.n_validation must leave some of {len(names)} scenes, got {config.n_validation}"
        )
    return limited_reconstructions(names, count=config.n_validation, seed=0)


def _scored(config: DataConfig, dataset: Dataset) -> tuple[str, ...]:
    """The scenes of a data set to be scored: those that match `validation`, or all."""
    names = tuple(dataset.names)
    return matching("data.validation", config.validation, names) if config.validation else names
