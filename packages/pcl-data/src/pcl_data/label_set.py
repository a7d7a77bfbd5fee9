"""Label sets: the meaning of train ids, and the way to and from the raw ids of a data set.

Inside the library a label is a train id 0, 1, ... or -1 for unlabeled; raw ids are in files only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Int64, Integer

from pcl_data import label_tables as tables

IGNORE_INDEX = -1
Frequency = Literal["head", "common", "tail"]
MAX_RAW_ID = 2**24 - 1  # as wide as a colour; raw ids are looked up in a table of this length
_UNKNOWN = -2  # marks a hole in the lookup table


@dataclass(frozen=True)
class LabelSet:
    """Names, raw ids and colours of the classes of a data set, in train order.

    Args:
        name: short name, as stored with a scene.
        names: name of each train id.
        raw_ids: id of each class in the files of the data set; positive, since 0 is unlabeled.
        colors: RGB in 0-255 of each class.
        is_stuff: whether a class has no countable instances (wall, floor).
        frequency: how common each class is, where the data set says so.
        ignored_raw_ids: raw ids that are known and carry no train id; 0 among them.
        merged_raw_ids: pairs of a raw id and the raw id of the class that it counts as.

    Raises:
        ValueError: if the tuples differ in length, a name or an id occurs twice, a colour is none,
            an id is above `MAX_RAW_ID`, 0 is not ignored, or an id is merged into none of
            `raw_ids`.

    Example:
        >>> import numpy as np
        >>> SCANNET20.to_train(np.array([1, 39, 0, 13])).tolist()
        [0, 19, -1, -1]
        >>> SCANNET20.to_raw(np.array([0, 19, -1])).tolist()
        [1, 39, 0]
        >>> SCANNET20.names[19], len(SCANNET20.things)
        ('otherfurniture', 18)
    """

    name: str
    names: tuple[str, ...]
    raw_ids: tuple[int, ...]
    colors: tuple[tuple[int, int, int], ...]
    is_stuff: tuple[bool, ...]
    frequency: tuple[Frequency, ...] | None = None
    ignored_raw_ids: tuple[int, ...] = (0,)
    merged_raw_ids: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for field in ("raw_ids", "colors", "is_stuff", "frequency"):
            values = getattr(self, field)
            if values is not None and len(values) != self.n_classes:
                raise ValueError(
                    f"{field} must have one entry for each of the {self.n_classes} names, "
                    f"got {len(values)}"
                )
        if len(set(self.names)) < self.n_classes:
            raise ValueError(f"names must be distinct, got {self.names}")
        if not all(len(rgb) == 3 and 0 <= min(rgb) <= max(rgb) <= 255 for rgb in self.colors):
            raise ValueError(f"colors must be three values in [0, 255] each, got {self.colors}")
        ids = (*self.raw_ids, *self.ignored_raw_ids, *(raw for raw, _ in self.merged_raw_ids))
        if len(set(ids)) < len(ids) or min(ids) < 0:
            raise ValueError(
                "raw_ids, ignored_raw_ids and merged_raw_ids must be distinct and positive, "
                f"got {ids}"
            )
        if max(ids) > MAX_RAW_ID:
            raise ValueError(f"raw ids must be at most {MAX_RAW_ID}, got {max(ids)}")
        targets = {target for _, target in self.merged_raw_ids}
        if not targets <= set(self.raw_ids):
            raise ValueError(
                f"merged_raw_ids must lead to raw_ids, got {sorted(targets - set(self.raw_ids))}"
            )
        if 0 not in self.ignored_raw_ids:
            raise ValueError(f"ignored_raw_ids must contain 0, got {self.ignored_raw_ids}")

    @property
    def n_classes(self) -> int:
        """Number of train ids."""
        return len(self.names)

    @cached_property
    def things(self) -> tuple[int, ...]:
        """Train ids of the countable classes, ascending."""
        return tuple(i for i, is_stuff in enumerate(self.is_stuff) if not is_stuff)

    @cached_property
    def stuff(self) -> tuple[int, ...]:
        """Train ids of the classes without countable instances, ascending."""
        return tuple(i for i, is_stuff in enumerate(self.is_stuff) if is_stuff)

    def to_train(self, raw: Integer[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
        """Train ids of raw ids; -1 for an ignored one.

        Raises:
            ValueError: naming the ids that this label set does not know.
        """
        table = self._train_of_raw
        is_listed = (raw >= 0) & (raw < len(table))
        train = table[np.where(is_listed, raw, 0).astype(np.int64)]
        is_unknown = ~is_listed | (train == _UNKNOWN)
        if is_unknown.any():
            unknown = np.unique(raw[is_unknown])[:10].tolist()
            raise ValueError(f"raw must hold ids known to {self.name}, got {unknown}")
        return train

    def to_raw(self, train: Integer[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
        """Raw ids of train ids; 0 for -1.

        Raises:
            ValueError: if a train id is outside [-1, n_classes).
        """
        if train.size and not -1 <= train.min() <= train.max() < self.n_classes:
            raise ValueError(
                f"train must lie in [-1, {self.n_classes}) of {self.name}, "
                f"got [{train.min()}, {train.max()}]"
            )
        return np.array([*self.raw_ids, 0])[train]  # -1 picks the last entry

    @cached_property
    def _train_of_raw(self) -> Int64[np.ndarray, " k"]:
        merged, targets = np.array(self.merged_raw_ids, np.int64).reshape(-1, 2).T
        highest = max(*self.raw_ids, *self.ignored_raw_ids, merged.max(initial=0))
        table = np.full(highest + 1, _UNKNOWN)
        table[list(self.raw_ids)] = np.arange(self.n_classes)
        table[list(self.ignored_raw_ids)] = IGNORE_INDEX
        table[merged] = table[targets]
        return table


Row = tuple[int, str, tuple[int, int, int]]


def _parse(rows: str) -> list[Row]:
    """Raw id, name and colour of each `id:name:rrggbb` entry."""
    entries = [entry.strip().split(":") for entry in rows.split(";")]
    return [(int(raw), name, _rgb(color)) for raw, name, color in entries]


def _rgb(hexadecimal: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(hexadecimal)
    return red, green, blue


def _build(
    name: str,
    rows: list[Row],
    stuff: set[str],
    known: Iterable[int],
    frequency: tuple[Frequency, ...] | None = None,
    merged: tuple[tuple[int, int], ...] = (),
) -> LabelSet:
    raw_ids, names, colors = zip(*rows, strict=True)
    return LabelSet(
        name=name,
        names=names,
        raw_ids=raw_ids,
        colors=colors,
        is_stuff=tuple(class_name in stuff for class_name in names),
        frequency=frequency,
        ignored_raw_ids=tuple(sorted(set(known) - set(raw_ids))),
        merged_raw_ids=merged,
    )


def _build_scannet200() -> LabelSet:
    splits: tuple[Frequency, ...] = ("head", "common", "tail")
    rows = [(row, split) for split in splits for row in _parse(tables.SCANNET200_ROWS[split])]
    rows.sort()
    frequency = tuple(split for _, split in rows)
    return _build("scannet200", [row for row, _ in rows], {"wall", "floor"}, range(1358), frequency)


_SCANNET20_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
_NYU40_ROWS = _parse(tables.NYU40_ROWS)

NYU40 = _build("nyu40", _NYU40_ROWS, {"wall", "floor", "ceiling"}, range(41))
SCANNET20 = _build(
    "scannet20", [_NYU40_ROWS[i - 1] for i in _SCANNET20_IDS], {"wall", "floor"}, range(41)
)
SCANNET200 = _build_scannet200()

# Contrastive Scene Contexts and TWIST score every class but clutter as instances.
S3DIS13 = _build("s3dis13", _parse(tables.S3DIS_ROWS), {"clutter"}, (0, 14))
SUNRGBD10 = _build("sunrgbd10", _parse(tables.SUNRGBD_ROWS), set(), (0,))

_SEMANTICKITTI_ROWS = _parse(tables.SEMANTICKITTI_ROWS)
_SEMANTICKITTI_STUFF = {name for raw, name, _ in _SEMANTICKITTI_ROWS if raw >= 40}  # road and on
SEMANTICKITTI19 = _build(
    "semantickitti19",
    _SEMANTICKITTI_ROWS,
    _SEMANTICKITTI_STUFF,
    tables.SEMANTICKITTI_IGNORED,
    merged=(*tables.SEMANTICKITTI_MERGED, *tables.SEMANTICKITTI_STILL_MERGED),
)
SEMANTICKITTI25 = _build(
    "semantickitti25",
    _SEMANTICKITTI_ROWS + _parse(tables.SEMANTICKITTI_MOVING_ROWS),
    _SEMANTICKITTI_STUFF,
    tables.SEMANTICKITTI_IGNORED,
    merged=(*tables.SEMANTICKITTI_MERGED, *tables.SEMANTICKITTI_MOVING_MERGED),
)

_NUSCENES_ROWS = _parse(tables.NUSCENES_ROWS)
NUSCENES16 = _build(
    "nuscenes16",
    _NUSCENES_ROWS,
    {name for _, name, _ in _NUSCENES_ROWS[10:]},  # driveable_surface and the rest
    tables.NUSCENES_IGNORED,
    merged=tables.NUSCENES_MERGED,
)

_WAYMO_ROWS = _parse(tables.WAYMO_ROWS)
_WAYMO_THINGS = (*range(1, 8), 12, 13)  # vehicles, people, bicycles and motorcycles
WAYMO22 = _build(
    "waymo22",
    _WAYMO_ROWS,
    {name for raw, name, _ in _WAYMO_ROWS if raw not in _WAYMO_THINGS},
    (0,),
)

KITTI8 = _build("kitti8", _parse(tables.KITTI_ROWS), set(), (0,))
