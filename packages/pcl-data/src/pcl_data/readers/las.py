"""Scans in LAS and LAZ files, read by laspy (the extra `las`).

Format: ASPRS, "LAS Specification 1.4 - R15", section 2.4 (public header block).
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.readers.size_bounds import check_unpacked, file_size

if TYPE_CHECKING:
    import laspy

_VLR_BYTES, _EVLR_BYTES = 54, 60  # headers of the variable length records
_POINT_BYTES = 20  # of the smallest point format


def read_las(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """Points with scale and offset applied, colours, intensity and extra bytes by their names.

    The classification becomes `class_codes`.

    Raises:
        ImportError: if laspy is not installed.
        ValueError: if the file is no complete LAS or LAZ file, or would unpack to more than
            `check_unpacked` lets pass.
    """
    with _open(path) as reader:
        las = reader.read()
        if len(las.points) != reader.header.point_count:
            raise ValueError(f"{reader.header.point_count} points, got {len(las.points)}")
        return scan_from_columns(
            {name: np.asarray(las[name]) for name in _names(reader)}, columns
        )


def las_columns(path: Path) -> tuple[str, ...]:
    """Names of the dimensions, from the header alone."""
    with _open(path) as reader:
        return _names(reader)


@contextmanager
def _open(path: Path) -> Iterator["laspy.LasReader"]:
    """A reader whose header is no larger than the file allows."""
    try:
        import laspy
    except ImportError as error:
        raise ImportError("LAS and LAZ files need laspy: pip install 'pcl-data[las]'") from error
    with library_errors("LAS"):
        _check_counts(path)
        with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs) as reader:
            header = reader.header
            size = header.point_count * header.point_format.size
            if header.are_points_compressed:
                check_unpacked(size, file_size(path), f"{header.point_count} points")
            elif size > file_size(path):
                raise ValueError(
                    f"{header.point_count} points of {size} bytes, more than {file_size(path)}"
                )
            yield reader


def _names(reader: "laspy.LasReader") -> tuple[str, ...]:
    """Dimensions of one number; x, y and z with scale and offset instead of the stored ones."""
    form = reader.header.point_format
    stored = [dimension.name for dimension in form.dimensions if dimension.num_elements == 1]
    return ("x", "y", "z", *(name for name in stored if name not in ("X", "Y", "Z")))


def _check_counts(path: Path) -> None:
    """Compare counts in the file with its size: laspy tries each record, lazrs aborts the process.

    A LAZ file has, where the points begin, the place of its chunk table, or -1 and the place in the
    last 8 bytes; the table begins with its version and the number of chunks.
    """
    n_bytes = file_size(path)
    with path.open("rb") as file:
        header = file.read(375)
        (minor,) = struct.unpack_from("<B", header, 25)
        points_at, n_records, point_format = struct.unpack_from("<IIB", header, 96)
        n_extended = struct.unpack_from("<I", header, 243)[0] if minor >= 4 else 0
        if n_records * _VLR_BYTES + n_extended * _EVLR_BYTES > n_bytes:
            raise ValueError(f"{n_records} + {n_extended} records in {n_bytes} bytes")
        if point_format & 0x80:  # compressed
            table_at = _number_at(file, points_at, "<q")
            table_at = _number_at(file, n_bytes - 8, "<q") if table_at == -1 else table_at
            n_chunks = _number_at(file, table_at + 4, "<I")
            if n_chunks * _POINT_BYTES > n_bytes:  # each chunk begins with a whole point
                raise ValueError(f"{n_chunks} chunks in {n_bytes} bytes")


def _number_at(file: BinaryIO, position: int, kind: str) -> int:
    file.seek(position)
    return struct.unpack(kind, file.read(struct.calcsize(kind)))[0]
