"""The scenes of a run: which are labeled, which unlabeled, which held out."""

import os
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatch
from functools import partial

from pcl_data import NYU40, SCANNET20, SCANNET200, Scene
from pcl_data.dataset import Dataset
from pcl_data.datasets import SceneFolder
from pcl_data.splits import LabelBudget, SceneSplit, limited_reconstructions
from pcl_synth import SyntheticRooms
from twist_cli.config import DataConfig

LABEL_SETS = {"scannet20": SCANNET20, "scannet200": SCANNET200, "nyu40": NYU40}


def open_split(config: DataConfig, seed: int) -> SceneSplit:
    """The scenes that `config` names, split into labeled, unlabeled and held out.

    Held-out scenes are drawn first, so that they stay the same under every label budget. Of
    synthetic rooms, which are random already, the first are held out and the next labeled: any
    five in a row from a multiple of five are one of each kind, so five labels know every class.

    Raises:
        ValueError: if a pattern matches nothing, a scene has two roles, or scenes run out.
    """
    label_set = LABEL_SETS[config.label_set]
    if config.root is None:
        dataset = SyntheticRooms(config.n_rooms, seed=seed)
        dataset.prepare(n_workers=os.cpu_count() or 1)
    else:
        dataset = SceneFolder(
            config.root,
            label_set=label_set,
            label_ids=config.label_ids,
            max_extent=config.max_extent,
        )
    names = list(dataset.names)
    draw = _first if config.root is None else partial(_random, seed)
    validation = _choose(names, config.validation, config.n_validation, draw, "data.validation")
    rest = [name for name in names if name not in validation]
    labeled = _choose(rest, config.labeled, config.n_labeled, draw, "data.labeled")
    data = "rooms" if config.root is None else f"folder:{config.root.name}"
    budget = LabelBudget(f"lr-{len(labeled)}-seed{seed}", labeled)
    load = partial(load_scene, dataset, {*labeled, *validation})
    return SceneSplit(data, label_set, tuple(rest), validation, budget, load)


def load_scene(dataset: Dataset, with_truth: Collection[str], name: str) -> Scene:
    """The scene of a name.

    Raises:
        ValueError: if it is one of those that must have labels and instances, and has none.
    """
    scene = dataset.load(name)
    if name in with_truth and (scene.labels is None or scene.instances is None):
        raise ValueError(f"scene {name} must have labels and instances, got none")
    return scene


def _choose(
    names: list[str],
    patterns: Sequence[str],
    count: int,
    draw: Callable[[list[str], int], tuple[str, ...]],
    argument: str,
) -> tuple[str, ...]:
    """The scenes that match; without patterns as many as asked for."""
    if not patterns:
        if count > len(names):
            raise ValueError(
                f"{argument} must be drawn from at least {count} scenes, got {len(names)}"
            )
        return draw(names, count)
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(f"{argument} must match scenes that have no other role, got {pattern}")
    return tuple(name for name in names if any(fnmatch(name, pattern) for pattern in patterns))


def _first(names: list[str], count: int) -> tuple[str, ...]:
    return tuple(names[:count])


def _random(seed: int, names: list[str], count: int) -> tuple[str, ...]:
    return tuple(sorted(limited_reconstructions(names, count=count, seed=seed)))
