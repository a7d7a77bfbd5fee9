"""Scans in LAS and LAZ files, read by laspy (the extra `las`).

Format: ASPRS, "LAS Specification 1.4 - R15", section 2.4 (public header block).
"""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.readers.raw_scan import MAX_ARRAY_BYTES, RawScan, file_size

_VLR_BYTES, _EVLR_BYTES = 54, 60  # headers of the variable length records
_POINT_BYTES = 20  # of the smallest point format


def read_las(path: Path) -> RawScan:
    """Points with scale and offset applied, colours, and the classification as `class_codes`.

    LAS colours have 16 bits: they are divided by 256, unless none is above 255, since many programs
    write 8 bits.

    Raises:
        ImportError: if laspy is not installed.
        ValueError: if the file is no complete LAS or LAZ file, or would unpack to more than
            `MAX_ARRAY_BYTES`.
    """
    try:
        import laspy
    except ImportError as error:
        raise ImportError("LAS and LAZ files need laspy: pip install 'pcl-data[las]'") from error
    with library_errors("LAS"):
        _check_counts(path)
        with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs) as reader:
            header = reader.header
            size = header.point_count * header.point_format.size
            limit = MAX_ARRAY_BYTES if header.are_points_compressed else file_size(path)
            if size > limit:
                raise ValueError(f"{header.point_count} points of {size} bytes, more than {limit}")
            las = reader.read()
            if len(las.points) != header.point_count:
                raise ValueError(f"{header.point_count} points, got {len(las.points)}")
    colors = None
    if "red" in las.point_format.dimension_names:
        colors = _eight_bits(np.stack([las.red, las.green, las.blue], axis=1))
    return RawScan(np.asarray(las.xyz), colors=colors, class_codes=np.asarray(las.classification))


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


def _eight_bits(colors: np.ndarray) -> np.ndarray:
    return (colors >> 8 if colors.size and colors.max() > 255 else colors).astype(np.uint8)
