"""Counts in LAS and LAZ files, held against the size of the file before a library believes them.

Formats: ASPRS, "LAS Specification 1.4 - R15", section 2.4; Isenburg, "LASzip: lossless compression
of LiDAR data", PE&RS 2013, and the LASzip record of its implementation.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from pcl_data.readers.size_bounds import file_size

_VLR_BYTES, _EVLR_BYTES = 54, 60  # headers of the variable length records
_POINT_BYTES = 20  # of the smallest point format
_LASZIP = (b"laszip encoded".ljust(16, b"\0"), 22204)
# Layers of each item that is compressed in layers, by its type; 14 has one for each of its bytes.
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}
_EXTRA_BYTES = 14


def check_counts(path: Path) -> None:
    """Return quietly if the records, chunks and layers of a file fit into it.

    laspy tries each record; lazrs asks for the memory of each chunk and layer, and may abort.

    Raises:
        ValueError: naming what does not fit.
        struct.error: if the file ends within its header.
    """
    n_bytes = file_size(path)
    with path.open("rb") as file:
        header = file.read(375)
        (minor,) = struct.unpack_from("<B", header, 25)
        header_bytes, points_at, n_records, point_format = struct.unpack_from("<HIIB", header, 94)
        n_extended = struct.unpack_from("<I", header, 243)[0] if minor >= 4 else 0
        if n_records * _VLR_BYTES + n_extended * _EVLR_BYTES > n_bytes:
            raise ValueError(f"{n_records} + {n_extended} records in {n_bytes} bytes")
        if point_format & 0x80:  # compressed
            _check_chunks(file, n_bytes, points_at, _items(file, header_bytes, n_records))


def _check_chunks(
    file: BinaryIO, n_bytes: int, points_at: int, items: list[tuple[int, int]]
) -> None:
    """Hold the chunks, and the layers of each, against the size of the file.

    Where the points begin is the place of the chunk table, or -1 and the place in the last bytes.
    The table begins with its version and the number of chunks. Each chunk begins with a whole
    point; one of layers goes on with its number of points and the size of each layer.
    """
    table_at = _number_at(file, points_at, "<q")
    table_at = _number_at(file, n_bytes - 8, "<q") if table_at == -1 else table_at
    n_chunks = _number_at(file, table_at + 4, "<I")
    if n_chunks * _POINT_BYTES > n_bytes:
        raise ValueError(f"{n_chunks} chunks in {n_bytes} bytes")
    n_layers = sum(_LAYERS.get(kind, size if kind == _EXTRA_BYTES else 0) for kind, size in items)
    if not n_layers:
        return
    start = points_at + 8
    for chunk in range(n_chunks):
        sizes_at = start + sum(size for _, size in items) + 4
        file.seek(sizes_at)
        start = (
            sizes_at + 4 * n_layers + sum(struct.unpack(f"<{n_layers}I", file.read(4 * n_layers)))
        )
        if start > n_bytes:
            raise ValueError(f"chunk {chunk} of {n_chunks} up to byte {start} of {n_bytes}")


def _items(file: BinaryIO, start: int, n_records: int) -> list[tuple[int, int]]:
    """Type and size of each item of a compressed point, from the LASzip record."""
    for _ in range(n_records):
        file.seek(start)
        record = file.read(_VLR_BYTES)
        user, kind, n_bytes = struct.unpack_from("<16sHH", record, 2)
        if (user, kind) == _LASZIP:
            data = file.read(n_bytes)
            (n_items,) = struct.unpack_from("<H", data, 32)
            return [struct.unpack_from("<HH", data, 34 + 6 * i) for i in range(n_items)]
        start += _VLR_BYTES + n_bytes
    return []


def _number_at(file: BinaryIO, position: int, kind: str) -> int:
    file.seek(position)
    return struct.unpack(kind, file.read(struct.calcsize(kind)))[0]
