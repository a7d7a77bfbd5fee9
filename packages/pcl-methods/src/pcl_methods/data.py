"""The data of a run: one group of settings for every app, and the scenes that it opens."""

import math
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from pcl_data import SCANNET20, LabelSet
from pcl_data.dataset import Dataset
from pcl_data.opening import HELD_OUT, KINDS, chosen, open_dataset, read_options
from pcl_data.scene import Scene
from pcl_data.splits import (
    LabelBudget,
    SceneSplit,
    annotation_budget,
    every_nth_sequence_budget,
    every_nth_sweep_budget,
    limited_reconstructions,
    listed_annotation_budget,
    listed_budget,
    random_sweep_budget,
    reconstruction_budget,
)
from pcl_methods.settings import DataConfig
from pcl_synth import SyntheticRooms, SyntheticStreets
from pcl_synth.rooms.dataset import VERSION as ROOMS_VERSION
from pcl_synth.streets.dataset import VERSION as STREETS_VERSION

WORLDS: dict[str, Callable[..., Any]] = {"rooms": SyntheticRooms, "streets": SyntheticStreets}
VERSIONS = {"rooms": ROOMS_VERSION, "streets": STREETS_VERSION}
OWN = ("folder", "shards", "frames")  # kinds whose data has no name of its own
SWEEP_STRIDE = 10  # of ten sweeps a second: one a second, as neighbours are alike
MAX_EXTENT = 200.0  # metres; a larger scan of a folder is an error unless the options say more


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
        >>> (
        ...     data_name(DataConfig(world_seed=7)),
        ...     data_name(DataConfig(root=Path("my/scans"))),
        ... )
        ('rooms-v5-world7', 'folder:scans')
    """
    kind = kind_of(config)
    if kind in VERSIONS:
        other = f"-world{config.world_seed}" if config.world_seed else ""
        return f"{kind}-v{VERSIONS[kind]}{other}"
    if kind in OWN and config.root is not None:
        return f"{kind}:{config.root.resolve().name}"
    return kind


def open_split(config: DataConfig, *, scored: bool = True) -> SceneSplit:
    """The scenes that the settings name, by role.

    Held-out scenes are taken first, so that they stay the same under every label budget. They are
    those that match `validation`, in `validation_split` where that is given; or all of
    `validation_split`; or of generated worlds the first
    rooms or sequences, which are random already; or, where scores are wanted, the official split
    that is scored, and of a folder `n_validation` at random, the same for every seed.

    Args:
        config: the settings.
        scored: whether there must be held-out scenes and labels.

    Raises:
        ValueError: if a word is unknown, a pattern matches nothing, a scene would have two roles,
            scenes run out, or nothing says what labels mean.
        FileNotFoundError: if files are missing.
    """
    dataset = _open(config, config.split)
    names = tuple(dataset.names)
    sources = dict.fromkeys(names, dataset)
    validation_split = config.validation_split
    if validation_split is None and scored and not config.validation:
        validation_split = HELD_OUT.get(kind_of(config))
    if validation_split is not None:
        other = _open(config, validation_split)
        held = _scored(config, other)
        sources |= dict.fromkeys(held, other)
    else:
        held = _held_out(config, names, scored)
    training = tuple(name for name in names if name not in set(held))
    if not training:
        raise ValueError(f"data must leave scenes to learn from, got all {len(names)} held out")
    if scored:
        for each in {id(source): source for source in sources.values()}.values():
            _assume_labels(config, each, SCANNET20 if config.features == "colors" else None)
    return SceneSplit(
        data_name(config),
        dataset.label_set,
        training,
        held,
        open_budget(config, training, held),
        partial(_load, sources),
    )


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
    load = partial(_load, dict.fromkeys(names, dataset))
    return SceneSplit(
        data_name(config), dataset.label_set, (), names, LabelBudget("none", ()), load
    )


def open_scored(config: DataConfig, trained: Mapping[str, Any], label_set: LabelSet) -> SceneSplit:
    """What a trained model is scored on: held-out scenes of its own data, or all of other data.

    Scenes that it learned from are never scored unless the settings name them.

    Args:
        config: the settings.
        trained: the settings of data that it was trained with, as JSON values.
        label_set: of the model.

    Raises:
        ValueError: as `open_split`.
        FileNotFoundError: if files are missing.
    """
    given = config.model_dump(mode="json")
    if all(given[key] == trained[key] for key in ("kind", "root", "split")):
        return open_split(config)
    return open_test_scenes(config, label_set)


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


def open_budget(
    config: DataConfig, names: Sequence[str], held_out: Sequence[str] = ()
) -> LabelBudget:
    """The labels of the scenes to learn from that the settings allow.

    Args:
        config: the settings.
        names: the scenes to learn from.
        held_out: others, whose points a list may name too; they are left out.

    Raises:
        FileNotFoundError: if there is no such list.
        ValueError: if the budget is no share, number or list, or a name matches nothing.
    """
    word, seed = config.budget, config.budget_seed
    if config.labeled:
        labeled = _matching("data.labeled", config.labeled, names)
        return LabelBudget(f"lr-{len(labeled)}-named", labeled)
    is_lidar = config.features == "intensity"
    if match := re.fullmatch(r"(\d+\.?\d*|\.\d+)%", word):
        choose = random_sweep_budget if is_lidar else reconstruction_budget
        return choose(names, float(match[1]) / 100, seed=seed)
    if match := re.fullmatch(r"(\d+)scenes", word):
        return _counted_budget(config, names, int(match[1]))
    if match := re.fullmatch(r"every-(\d+)th", word):
        return every_nth_sweep_budget(names, int(match[1]))
    if match := re.fullmatch(r"every-(\d+)th-sequence", word):
        sequences = {
            place: [n for n in names if _place(n) == place] for place in map(_place, names)
        }
        return every_nth_sequence_budget(sequences, int(match[1]))
    if match := re.fullmatch(r"(\d+)pts", word):
        return annotation_budget(names, int(match[1]), seed=seed)
    if Path(word).suffix == ".npz":
        listed = listed_annotation_budget(word, [*names, *held_out])
        return replace(listed, scenes=tuple(name for name in listed.scenes if name in set(names)))
    if Path(word).suffix == ".txt":
        return listed_budget(word, names, "lidar" if is_lidar else "lr")
    raise ValueError(
        f"data.budget must be like 5%, 10scenes, 20pts, every-100th, scenes.txt or points.npz, got {word}"
    )


def spread(names: Sequence[str], count: int) -> Sequence[str]:
    """At most so many of the names, evenly over all: neighbours are often alike, as sweeps are.

    Example:
        >>> spread("abcdefg", 3)
        'adg'
    """
    return names[:: math.ceil(len(names) / count)] if names else names


def _counted_budget(config: DataConfig, names: Sequence[str], count: int) -> LabelBudget:
    """So many scenes: of generated rooms the next ones, any five of which are one of each kind."""
    if not 1 <= count <= len(names):
        raise ValueError(f"data.budget must be 1 to {len(names)} scenes, got {count}")
    if kind_of(config) in WORLDS:
        return LabelBudget(f"lr-{count}-first", tuple(names[:count]))
    scenes = limited_reconstructions(names, count=count, seed=config.budget_seed)
    return LabelBudget(f"lr-{count}-seed{config.budget_seed}", scenes)


def _load(sources: Mapping[str, Dataset], name: str) -> Scene:
    if name not in sources:
        raise ValueError(f"name must be that of a scene of the run, got {name!r}")
    return sources[name].load(name)


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
        return open_dataset(config.root, kind, split, options | config.options)
    for key in ("root", "split", "validation_split"):
        if getattr(config, key) is not None:
            raise ValueError(f"data.{key} must not be given with {kind}")
    options = read_options(WORLDS[kind], config.options)
    if kind == "streets":
        options |= {"n_sweeps": config.n_sweeps, "stride": SWEEP_STRIDE}
    dataset = WORLDS[kind](config.n_scenes, seed=config.world_seed, **options)
    dataset.prepare(n_workers=os.cpu_count() or 1)
    return dataset


def _held_out(config: DataConfig, names: tuple[str, ...], scored: bool) -> tuple[str, ...]:
    if config.validation:
        return _matching("data.validation", config.validation, names)
    if kind_of(config) in WORLDS:
        first = list(dict.fromkeys(_place(name) for name in names))[: config.n_validation]
        return tuple(name for name in names if _place(name) in first)
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
    return _matching("data.validation", config.validation, names) if config.validation else names


def _matching(setting: str, patterns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The names that match a pattern, in their order."""
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(
                f"{setting} must match scenes that have no other role, got {pattern!r} of "
                f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
            )
    return tuple(name for name in names if any(fnmatch(name, p) for p in patterns))


def _place(name: str) -> str:
    """What scenes share that were taken at one place: the sequence of a sweep."""
    return name.rpartition("/")[0] or name
