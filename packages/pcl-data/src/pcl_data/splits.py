"""Label budgets: which scenes, and which points of a scene, may be learned from.

The settings of Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene
Contexts", CVPR 2021, section 5: limited reconstructions (a part of the scenes) and limited
annotations (a few points in each scene). Subsets are random, fixed by a seed, and nested: a smaller
one lies in a larger one. Prefer the published lists, read by `read_split`, where there are any.
"""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np

from pcl_data.label_set import IGNORE_INDEX
from pcl_data.scene import Scene


def limited_reconstructions(
    names: Collection[str],
    *,
    fraction: float | None = None,
    count: int | None = None,
    seed: int = 0,
) -> tuple[str, ...]:
    """Random subset of the scenes, sorted; the same for any order of `names`.

    Args:
        names: distinct scene names.
        fraction: part to keep, in (0, 1], rounded down (10 % of 1201 scenes are 120); or
        count: number to keep.
        seed: another seed gives another chain of nested subsets.

    Raises:
        ValueError: if not exactly one of fraction and count is given, a name occurs twice, or the
            subset would be empty or larger than `names`.

    Example:
        >>> limited_reconstructions(["a", "b", "c", "d"], count=2)
        ('a', 'c')
        >>> limited_reconstructions(["d", "c", "b", "a"], fraction=0.5)
        ('a', 'c')
    """
    _check_distinct("names", names)
    if (fraction is None) == (count is None):
        raise ValueError(
            f"exactly one of fraction and count must be given, got {fraction} and {count}"
        )
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must lie in (0, 1], got {fraction}")
        count = int(fraction * len(names) + 1e-9)  # 0.29 * 100 is 28.999...
    if count is None or not 1 <= count <= len(names):
        raise ValueError(f"count must lie in [1, {len(names)}], the scenes given, got {count}")
    order = np.random.default_rng(seed).permutation(len(names))
    in_order = sorted(names)
    return tuple(sorted(in_order[i] for i in order[:count]))


def limited_annotations(scene: Scene, count: int, *, seed: int = 0) -> Scene:
    """The scene with labels and instances of `count` random labelled points only.

    All other labels and instances become -1. A scene with fewer labelled points keeps them all.

    Args:
        scene: with labels.
        count: number of points to keep.
        seed: with the name of the scene it fixes the points, nested over counts.

    Raises:
        ValueError: if the scene has no labels or count is below 1.
    """
    if scene.labels is None:
        raise ValueError(f"scene {scene.name!r}: labels must be given, got None")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    generator = np.random.default_rng([seed, crc32(scene.name.encode())])
    labelled = np.flatnonzero(scene.labels != IGNORE_INDEX)
    is_dropped = np.ones(len(scene.points), bool)
    is_dropped[generator.permutation(labelled)[:count]] = False
    labels = np.where(is_dropped, IGNORE_INDEX, scene.labels)
    instances = None if scene.instances is None else np.where(is_dropped, -1, scene.instances)
    return replace(scene, labels=labels, instances=instances)


def read_split(
    path: str | os.PathLike[str], names: Collection[str] | None = None
) -> tuple[str, ...]:
    """Scene names of a published list, in its order: one a line, empty lines skipped.

    Args:
        path: the text file.
        names: the scenes that exist; None takes any.

    Raises:
        ValueError: if the list is empty, repeats a name, or holds one that is not in `names`.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    listed = tuple(line.strip() for line in lines if line.strip())
    if not listed:
        raise ValueError(f"{path} must hold at least one scene name, got none")
    _check_distinct(str(path), listed)
    known = set(listed if names is None else names)
    unknown = [name for name in listed if name not in known]
    if unknown:
        raise ValueError(f"{path} must hold names of the given scenes, got {unknown[:10]}")
    return listed


def _check_distinct(owner: str, names: Collection[str]) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(f"{owner} must be distinct, got {repeated[:10]} more than once")
