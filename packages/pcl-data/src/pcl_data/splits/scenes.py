"""Budgets of scenes: a random part of them, or a published list."""

import os
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from pcl_data.file_errors import errors_in

# As LaserMix's lists name the sweeps of SemanticKITTI; `SemanticKitti` calls this one 00/000012.
_LONGEST_NAME = 255  # characters: names become those of files
_SWEEP_PATH = re.compile(r"(?:.*/)?(\d\d)/velodyne/(\d{6})\.bin")


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


def read_split(
    path: str | os.PathLike[str], names: Collection[str] | None = None
) -> tuple[str, ...]:
    """Scene names of a published list, in its order: one a line, empty lines skipped.

    A line may also be the path of a SemanticKITTI sweep, as in the lists of Kong et al., "LaserMix
    for Semi-Supervised LiDAR Semantic Segmentation", CVPR 2023: `.../00/velodyne/000012.bin` is
    the sweep `00/000012`.

    Args:
        path: the text file.
        names: the scenes that exist; None takes any.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the list is empty, repeats a name, or holds one that is not in `names`, or
            none: with control characters, or longer than that of a file.
    """
    with errors_in(path):
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    listed = tuple(_SWEEP_PATH.sub(r"\1/\2", line.strip()) for line in lines if line.strip())
    if not listed:
        raise ValueError(f"{path} must hold at least one scene name, got none")
    odd = [name for name in listed if len(name) > _LONGEST_NAME or not name.isprintable()]
    if odd:
        raise ValueError(f"{path} must hold names, got {odd[0]!r:.80}")
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
