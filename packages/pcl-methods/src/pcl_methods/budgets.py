"""Which labels may be learned from: a word of the settings to a `LabelBudget`."""

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from pcl_data.splits import (
    LabelBudget,
    annotation_budget,
    every_nth_sequence_budget,
    every_nth_sweep_budget,
    limited_reconstructions,
    listed_annotation_budget,
    listed_budget,
    random_sweep_budget,
    reconstruction_budget,
)
from pcl_methods.detection.scene_boxes import limited_objects
from pcl_methods.kinds import WORLDS, kind_of, place_of
from pcl_methods.settings import DataConfig


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
        labeled = matching("data.labeled", config.labeled, names)
        return LabelBudget(f"lr-{len(labeled)}-named", labeled)
    if word == "none":
        return LabelBudget("none", ())
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
            place: [n for n in names if place_of(n) == place] for place in map(place_of, names)
        }
        return every_nth_sequence_budget(sequences, int(match[1]))
    if match := re.fullmatch(r"(\d+)pts", word):
        return annotation_budget(names, int(match[1]), seed=seed)
    if match := re.fullmatch(r"(\d+)boxes", word):
        limit = partial(limited_objects, count=int(match[1]), seed=seed)
        return LabelBudget(f"boxes-{match[1]}-seed{seed}", tuple(names), limit)
    if Path(word).suffix == ".npz":
        listed = listed_annotation_budget(word, [*names, *held_out])
        return replace(listed, scenes=tuple(name for name in listed.scenes if name in set(names)))
    if Path(word).suffix == ".txt":
        return listed_budget(word, names, "lidar" if is_lidar else "lr")
    raise ValueError(
        "data.budget must be like 5%, 10scenes, 20pts, 4boxes, every-100th, scenes.txt, points.npz "
        f"or none, got {word}"
    )


def matching(setting: str, patterns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The names that match a pattern, in their order."""
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(
                f"{setting} must match scenes that have no other role, got {pattern!r} of "
                f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
            )
    return tuple(name for name in names if any(fnmatch(name, p) for p in patterns))


def _counted_budget(config: DataConfig, names: Sequence[str], count: int) -> LabelBudget:
    """So many scenes: of generated rooms the next ones, any five of which are one of each kind."""
    if not 1 <= count <= len(names):
        raise ValueError(f"data.budget must be 1 to {len(names)} scenes, got {count}")
    if kind_of(config) in WORLDS:
        return LabelBudget(f"lr-{count}-first", tuple(names[:count]))
    scenes = limited_reconstructions(names, count=count, seed=config.budget_seed)
    return LabelBudget(f"lr-{count}-seed{config.budget_seed}", scenes)
