"""Mined pairs of frames in a text file: one pair a line, the two names and the overlap.

The layout of `overlap.txt`, which the published script of Hou et al., CVPR 2021, writes
(`compute_full_overlapping.py`).
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pcl_data.atomic_files import whole_file
from pcl_data.file_errors import errors_in
from pcl_data.pairs.overlap import FramePairs


def save_pairs(path: str | os.PathLike[str], names: Sequence[str], pairs: FramePairs) -> None:
    """Write pairs by the names of their frames; the file is there whole or not at all.

    Args:
        path: the text file. One that is there is replaced.
        names: name of each frame, as `LazyFrames.names`: distinct, without white space.
        pairs: their frames are numbers of names.

    Raises:
        ValueError: if a name is empty, occurs twice or has white space, or a pair has no name.
    """
    _check_names(names)
    if len(pairs.pairs) and not 0 <= pairs.pairs.min() <= pairs.pairs.max() < len(names):
        low, high = pairs.pairs.min(), pairs.pairs.max()
        raise ValueError(f"pairs must lie in [0, {len(names)}), the names, got [{low}, {high}]")
    lines = [
        f"{names[a]} {names[b]} {overlap!r}\n"
        for (a, b), overlap in zip(pairs.pairs.tolist(), pairs.overlap.tolist(), strict=True)
    ]
    with whole_file(path) as file:
        file.write("".join(lines).encode())


def load_pairs(path: str | os.PathLike[str], names: Sequence[str]) -> FramePairs:
    """The pairs of a file, in its order, as `save_pairs` or the published script wrote them.

    Args:
        path: the text file. An empty one holds no pairs.
        names: name of each frame; the numbers of a pair are positions in it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming file, line and rule, if a line is not two different known names and an
            overlap in [0, 1].
    """
    _check_names(names)
    number = {name: index for index, name in enumerate(names)}
    with errors_in(path):
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = [_read_line(at, line, number) for at, line in enumerate(lines, start=1)]
    pairs = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2)
    return FramePairs(pairs, np.array([row[2] for row in rows], np.float64))


def _read_line(at: int, line: str, number: dict[str, int]) -> tuple[int, int, float]:
    words = line.split()
    if len(words) != 3:
        raise ValueError(f"line {at} must be two names and an overlap, got {line[:80]!r}")
    for name in words[:2]:
        if name not in number:
            raise ValueError(f"line {at} must name frames of the scene, got {name[:80]!r}")
    a, b = number[words[0]], number[words[1]]
    if a == b:
        raise ValueError(f"line {at} must name two frames, got {words[0][:80]!r} twice")
    try:
        overlap = float(words[2])
    except ValueError:
        overlap = np.nan
    if not 0 <= overlap <= 1:
        raise ValueError(f"line {at} must have an overlap in [0, 1], got {words[2][:80]!r}")
    return a, b, overlap


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"names must be distinct, got {len(names) - len(set(names))} repeated")
    for name in names:
        if not name or name.split() != [name]:
            raise ValueError(f"names must have no white space and not be empty, got {name!r}")
