"""Rows of the parquet files of Waymo, read by pyarrow (the extra `waymo`).

Columns are named `[Component].field.subfield`, keys `key.field`: `v2/component.py` of the Waymo
Open Dataset code at commit 9d0be7c.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.rigid import rigid

_BATCH_ROWS = 8  # held in memory at once; a row of the component `lidar` has 10 MB


def key_values(path: Path, key: str) -> Int64[np.ndarray, " n"]:
    """The integer key of each row of a file.

    Raises:
        ImportError: if pyarrow is not installed.
        ValueError: if it is no such file.
    """
    with _opened(path) as file:
        return _column(file, f"key.{key}")


class Row:
    """One row of a file, of some columns.

    Args:
        path: the file.
        component: name of the component in the file.
        fields: the columns that are asked for, without the name of the component.
        **keys: the integer keys that the row has.

    Raises:
        ImportError: if pyarrow is not installed.
        ValueError: if the file is broken, or not exactly one of its rows has these keys.
    """

    def __init__(self, path: Path, component: str, fields: tuple[str, ...], **keys: int) -> None:
        self.path = path
        columns = {f"[{component}].{field}": field for field in fields}
        with _opened(path) as file:
            rows = [_column(file, f"key.{key}") == value for key, value in keys.items()]
            found = np.flatnonzero(np.all(rows, axis=0))
            if len(found) != 1:
                raise ValueError(f"{len(found)} rows with {keys}, not one")
            cells = _cells(file, list(columns), int(found[0]))
            self._cells = {field: cells[column] for column, field in columns.items()}

    def value(self, field: str) -> Any:
        """The value of a field.

        Raises:
            ValueError: if there is none.
        """
        value = self.optional(field)
        if value is None:
            raise ValueError(f"{self.path}: {field} must have a value, got none")
        return value

    def optional(self, field: str) -> Any:
        """The value of a field, or None."""
        return self._cells[field].as_py()

    def transform(self, field: str) -> Float64[np.ndarray, "4 4"]:
        """The rigid transform of a field.

        Raises:
            ValueError: if it is none.
        """
        with errors_in(self.path), library_errors("parquet"):
            matrix = np.array(self.value(f"{field}.transform"), np.float64).reshape(4, 4)
            return rigid(matrix[:3, :3], matrix[:3, 3])

    def image(self, field: str, n_channels: int, dtype: type[np.generic]) -> np.ndarray:
        """The (h, w, n_channels) array of a field with `values` and `shape`.

        Raises:
            ValueError: if the two do not fit, or a value is not finite or no such number.
        """
        shape, values = self.value(f"{field}.shape"), self._cells[f"{field}.values"]
        with errors_in(self.path), library_errors("parquet"):
            if len(shape) != 3 or min(shape) < 1 or shape[2] != n_channels:
                raise ValueError(f"{field} has shape {shape}, not h x w x {n_channels}")
            if not values.is_valid or len(values) != shape[0] * shape[1] * shape[2]:
                raise ValueError(f"{field} has not one value for each pixel and channel of {shape}")
            array = values.values.to_numpy(zero_copy_only=False)
            if array.dtype.kind != np.dtype(dtype).kind or not np.isfinite(array).all():
                raise ValueError(f"{field} has values that are no finite {dtype.__name__}")
            return array.astype(dtype).reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ImportError("Waymo needs pyarrow: pip install 'pcl-data[waymo]'") from error
    with errors_in(path), library_errors("parquet"), ParquetFile(path) as file:
        yield file


def _column(file: Any, name: str) -> Int64[np.ndarray, " n"]:
    table = file.read(columns=[name])
    if table.column_names != [name]:
        raise ValueError(f"no column {name}")
    return table.column(name).to_numpy().astype(np.int64)


def _cells(file: Any, columns: list[str], row: int) -> dict[str, Any]:
    """Scalars of a row, decoding little besides its row group up to it."""
    lacking = set(columns) - set(file.schema_arrow.names)
    if lacking:
        raise ValueError(f"no column {min(lacking)}")
    group = 0
    while row >= file.metadata.row_group(group).num_rows:
        row -= file.metadata.row_group(group).num_rows
        group += 1
    batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)
    for batch in batches:
        if row < len(batch):
            return {name: batch.column(name)[row] for name in columns}
        row -= len(batch)
    raise ValueError(f"row group {group} ends early")
