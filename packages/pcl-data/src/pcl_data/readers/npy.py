"""Scans in `.npy` files: one plain array of numbers, never a pickle."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.size_bounds import file_size
from pcl_data.readers.table import scan_from_table

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MOST_HEADER = 2**14  # bytes; numpy rejects longer ones


def read_npy(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """The scan of one (n, k) array, as `scan_from_table` understands its columns.

    Raises:
        ValueError: if the file is no complete array of numbers of such a shape.
    """
    with library_errors("NPY"), path.open("rb") as file:
        table = read_array(file, file_size(path))
    return scan_from_table(table, path, columns)


def npy_columns(path: Path) -> tuple[str, ...]:
    """No names: the columns of an array have none."""
    return ()


def read_array(stream: io.BufferedIOBase, n_bytes: int) -> np.ndarray:
    """The array in a stream of `n_bytes` in the NPY format.

    `numpy.load` would allocate what the header claims; here the claim is compared first.

    Raises:
        ValueError: if it is of objects or of records, or claims more than `n_bytes`.
    """
    shape, order, dtype = read_header(stream)
    size = math.prod(shape) * dtype.itemsize
    if any(length < 0 for length in shape) or size > n_bytes:
        raise ValueError(f"shape {shape} of {dtype} in {n_bytes} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise ValueError(f"{size} bytes of data, got {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def view_array(content: UInt8[np.ndarray, " bytes"]) -> np.ndarray:
    """The array in bytes of the NPY format, without a copy: memory-mapped bytes stay so.

    Raises:
        ValueError: if it is of objects or of records, or not of exactly these bytes.
    """
    head = io.BytesIO(content[:_MOST_HEADER].tobytes())
    shape, order, dtype = read_header(head)
    data = content[head.tell() :]
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"shape {shape} of {dtype} in {len(data)} bytes")
    return data.view(dtype).reshape(shape, order=order)


def read_header(stream: io.BufferedIOBase) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """Shape, order and type of the array that follows in a stream of the NPY format.

    Raises:
        ValueError: if it is of objects or of records, or no header.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADER_READERS:
        raise ValueError(f"version {version} of the NPY format")
    shape, is_fortran, dtype = _HEADER_READERS[version](stream)
    if dtype.kind not in "iuf":
        raise ValueError(f"an array of {dtype}, not of numbers")
    return shape, "F" if is_fortran else "C", dtype
