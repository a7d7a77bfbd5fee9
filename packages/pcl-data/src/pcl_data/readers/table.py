"""Tables whose columns have no names: their ranges tell what they are, where their number does not.

Columns are called by their place, from 1.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcl_data.file_errors import warn_about
from pcl_data.raw_scan import RawScan
from pcl_data.readers.scan_columns import scan_from_columns

_ROLES = {"color": ("red", "green", "blue"), "normal": ("nx", "ny", "nz")}
# What may follow x y z: the usual orders first.
_USUAL: tuple[tuple[str, ...], ...] = (
    (),
    ("color",),
    ("color", "label"),
    ("color", "label", "instance"),
)
_ORDERS: tuple[tuple[str, ...], ...] = (
    *_USUAL,
    ("normal",),
    ("intensity",),
    ("label",),
    ("intensity", "color"),
    ("color", "intensity"),
    ("normal", "label"),
    ("intensity", "color", "label"),
    ("color", "normal"),
    ("normal", "color"),
    ("color", "normal", "label"),
)
_MOST_ROWS = 2**15  # that are looked at
_MOST_CLASSES = 64  # different labels of a scan; a channel of colour has more values


def scan_from_table(
    table: np.ndarray, path: Path, columns: Mapping[str, str] | None = None
) -> RawScan:
    """The scan of an (n, k) table: x y z [red green blue [label [instance]]], or another order.

    Other orders (`x y z intensity red green blue`, normals, x y z and one more) are taken where the
    ranges of the columns allow no usual one; which is said in a warning, and so is a choice that
    the ranges leave open.

    Args:
        table: numbers.
        path: the file, named in warnings.
        columns: place of the column of each role, from 1; x y z are the first three unless given.

    Raises:
        ValueError: if the columns fit no order.
    """
    if table.ndim != 2 or table.shape[1] < 3:
        raise ValueError(f"array must have shape (n, 3) or more columns, got {table.shape}")
    named = {str(place + 1): column for place, column in enumerate(table.T)}
    if columns:
        return scan_from_columns(named, {"x": "1", "y": "2", "z": "3"} | dict(columns))
    orders = _fitting_orders(table)
    names = ("x", "y", "z", *_names(orders[0]))
    if len(orders) > 1 or orders[0] not in _USUAL:
        others = "".join(f", and not as x y z {' '.join(_names(order))}" for order in orders[1:])
        warn_about(
            path,
            f"columns without names are read as {' '.join(names)}{others}; "
            "columns={red: 4, ...} tells what they are",
        )
    scan = scan_from_columns(dict(zip(names, table.T, strict=True)))
    return replace(scan, unread=())


def _fitting_orders(table: np.ndarray) -> list[tuple[str, ...]]:
    """The orders of as many columns that the ranges allow, at least one."""
    wanted = [order for order in _ORDERS if len(_names(order)) == table.shape[1] - 3]
    sample = table[:: len(table) // _MOST_ROWS + 1, 3:].astype(np.float64)
    fitting = [order for order in wanted if _fits(sample, order)]
    if not fitting:
        known = ", ".join(f"x y z {' '.join(_names(order))}".strip() for order in wanted)
        raise ValueError(
            f"rows of {table.shape[1]} numbers must be {known or 'named by a first line'}; "
            "columns={red: 4, ...} tells what they are"
        )
    return fitting


def _fits(columns: np.ndarray, order: tuple[str, ...]) -> bool:
    place = 0
    for kind in order:
        width = len(_names((kind,)))
        if not _CHECKS[kind](columns[:, place : place + width]):
            return False
        place += width
    return True


def _is_color(columns: np.ndarray) -> bool:
    """Nine in ten values lie in one scale, and the three channels have it in common."""
    known = columns[np.isfinite(columns).all(axis=1)]
    if not len(known):
        return True
    if _is_normal(known) and not _are_whole(known):
        return False
    top = 65535 if (known.max(axis=0) > 255).all() else 255
    is_inside = (known >= 0) & (known <= top * (1 + 0.5 / 255))
    has_fractions = any(not _are_whole(channel) and channel.max() <= 1.01 for channel in known.T)
    exceeds_one = ((known > 1.01).mean(axis=0) > 0.1).any()
    n_values = [len(np.unique(channel)) for channel in known.T]
    return bool(
        is_inside.mean() >= 0.9
        and not (has_fractions and exceeds_one)
        and (max(n_values) <= _MOST_CLASSES or 4 * min(n_values) >= max(n_values))
    )


def _is_normal(columns: np.ndarray) -> bool:
    lengths = np.linalg.norm(columns[np.isfinite(columns).all(axis=1)], axis=1)
    lengths = lengths[lengths > 0]
    return len(lengths) > 0 and bool((np.abs(lengths - 1) < 0.02).mean() > 0.95)


def _is_label(column: np.ndarray) -> bool:
    return _are_ids(column) and len(np.unique(column)) <= _MOST_CLASSES


def _are_ids(column: np.ndarray) -> bool:
    known = column[np.isfinite(column)]
    return _are_whole(known) and (not len(known) or bool(known.min() >= -1))


def _is_intensity(column: np.ndarray) -> bool:
    """Whether a column is more than a few numbers that come again and again."""
    return not (_is_label(column) and 8 * len(np.unique(column)) <= len(column))


def _are_whole(values: np.ndarray) -> bool:
    return bool((values == np.rint(values)).all())


_CHECKS = {
    "color": _is_color,
    "normal": _is_normal,
    "label": _is_label,
    "instance": _are_ids,
    "intensity": _is_intensity,
}


def _names(order: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for kind in order for name in _ROLES.get(kind, (kind,)))
