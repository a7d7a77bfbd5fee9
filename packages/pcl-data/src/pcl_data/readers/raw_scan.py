"""A raw scan: the arrays of one file, before colours and ids follow the project's conventions.

Every reader returns one; `read_scene` turns it into a `Scene`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_ARRAY_BYTES = 2**31  # of the decompressed arrays of one compressed file

# Columns without names, in this order; a scan has the first 3, 6, 7 or 8 of them.
COLUMN_ORDER = ("x", "y", "z", "red", "green", "blue", "label", "instance")
# What other programs call the same column.
_ALIASES = {
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
    "red": ("red", "r", "diffuse_red"),
    "green": ("green", "g", "diffuse_green"),
    "blue": ("blue", "b", "diffuse_blue"),
    "nx": ("nx", "normal_x"),
    "ny": ("ny", "normal_y"),
    "nz": ("nz", "normal_z"),
    "label": ("label", "labels", "segment", "semantic", "class"),
    "instance": ("instance", "instances", "instance_id"),
    "superpoint": ("superpoint", "superpoints"),
}


@dataclass(frozen=True, eq=False)
class RawScan:
    """Arrays of one file; the first axis of each but `faces` is the point.

    Args:
        points: (n, 3) coordinates.
        colors: (n, 3) integers 0-255, or floats 0-1 or 0-255.
        normals: (n, 3).
        labels: (n,) class ids, train or raw as the caller of `read_scene` says.
        instances: (n,) instance ids.
        superpoints: (n,) geometric sets.
        faces: (f, 3) rows of `points`.
        labels_are_raw: the file itself says that `labels` are raw ids (`nyu40`).
        class_codes: (n,) raw ids of the format (LAS classification), used only on request.
    """

    points: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    superpoints: np.ndarray | None = None
    faces: np.ndarray | None = None
    labels_are_raw: bool = False
    class_codes: np.ndarray | None = None


def scan_from_columns(
    columns: Mapping[str, np.ndarray],
    *,
    colors: np.ndarray | None = None,
    faces: np.ndarray | None = None,
) -> RawScan:
    """The scan of named (n,) columns; columns with other names are left out.

    Names are compared in lower case and without the prefix `scalar_` of CloudCompare. Colours and
    normals need all three of their columns.

    Raises:
        ValueError: if x, y or z is missing.

    Example:
        >>> import numpy as np
        >>> zeros = np.zeros(5)
        >>> scan = scan_from_columns(
        ...     {"X": zeros, "Y": zeros, "Z": zeros, "scalar_Label": zeros}
        ... )
        >>> scan.points.shape, scan.labels.shape
        ((5, 3), (5,))
    """
    by_name = {name.lower().removeprefix("scalar_"): column for name, column in columns.items()}
    found = {
        name: next((by_name[alias] for alias in aliases if alias in by_name), None)
        for name, aliases in _ALIASES.items()
    }
    points = _stack(found, ("x", "y", "z"))
    if points is None:
        raise ValueError(f"columns must include x, y and z, got {', '.join(columns) or 'none'}")
    return RawScan(
        points,
        colors=_stack(found, ("red", "green", "blue")) if colors is None else colors,
        normals=_stack(found, ("nx", "ny", "nz")),
        labels=found["label"],
        instances=found["instance"],
        superpoints=found["superpoint"],
        faces=faces,
    )


def scan_from_table(table: np.ndarray, names: tuple[str, ...] | None = None) -> RawScan:
    """The scan of an (n, k) table whose columns have these names, or are those of `COLUMN_ORDER`.

    Raises:
        ValueError: if there are no names and k is not 3, 6, 7 or 8, or their number is not k.
    """
    if table.ndim != 2 or (names is None and table.shape[1] not in (3, 6, 7, 8)):
        raise ValueError(
            "array must have shape (n, 3), (n, 6), (n, 7) or (n, 8) with the columns "
            f"{' '.join(COLUMN_ORDER)}, got {table.shape}"
        )
    names = COLUMN_ORDER[: table.shape[1]] if names is None else names
    if len(names) != table.shape[1]:
        raise ValueError(f"rows must have the {len(names)} columns named, got {table.shape[1]}")
    return scan_from_columns(dict(zip(names, table.T, strict=True)))


def file_size(path: Path) -> int:
    """Bytes of the file."""
    return path.stat().st_size


def _stack(found: Mapping[str, np.ndarray | None], names: tuple[str, ...]) -> np.ndarray | None:
    columns = [found[name] for name in names]
    if any(column is None for column in columns):
        return None
    return np.stack(columns, axis=1)  # type: ignore[arg-type]
