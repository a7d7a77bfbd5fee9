"""Scans in PLY files: ASCII and binary, with faces; read by plyfile.

Format: Greg Turk, "The PLY Polygon File Format", 1994. The header is bytes: comments may be of any
encoding.
"""

import re
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from plyfile import PlyData, PlyParseError

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.readers.size_bounds import file_size
from pcl_data.scan_values import report

_MAX_HEADER_BYTES = 65536
_END = re.compile(rb"(?:^|(?<=[\r\n]))end_header[ \t]*(?:[\r\n]|\Z)")
_NOT_ASCII = re.compile(rb"[^\x00-\x7f]")
_CORNERS = ("vertex_indices", "vertex_index")
_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}


class _Header(NamedTuple):
    """The bytes of a header, names of the vertices' numbers, and the list of the faces' corners."""

    content: bytes
    columns: tuple[str, ...]
    corners: str | None


def read_ply(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """The element `vertex`, and `face` with its polygons as fans of triangles.

    `scan_from_columns` tells which properties are read. Faces of less than three corners are left
    out, with a warning that counts them. Triangle strips are not read.

    Raises:
        ValueError: if the file is no complete PLY file with a vertex element.
    """
    with library_errors("PLY"):
        header = _read_header(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")  # an empty list
            data = _read(path, header)
        if "vertex" not in data:
            raise ValueError("no element vertex")
        vertex = data["vertex"]
        table = {name: np.array(vertex[name]) for name in header.columns}
        faces = None
        if "face" in data and header.corners:
            faces = _triangles(path, np.asarray(data["face"][header.corners]))
    return scan_from_columns(table, columns, faces=faces)


def ply_columns(path: Path) -> tuple[str, ...]:
    """Names of the properties of the vertices, from the header alone."""
    with library_errors("PLY"):
        return _read_header(path).columns


def _read(path: Path, header: _Header) -> PlyData:
    """Triangle meshes are memory-mapped; other polygons are read one by one."""
    if header.content.isascii():
        if header.corners:
            try:
                lengths = {"face": {header.corners: 3}}
                return PlyData.read(str(path), known_list_len=lengths)
            except (PlyParseError, ValueError):  # not all of them are triangles
                pass
        return PlyData.read(str(path))
    rest = path.read_bytes()[len(header.content) :]
    return PlyData.read(BytesIO(_NOT_ASCII.sub(b"?", header.content) + rest))


def _read_header(path: Path) -> _Header:
    """The header, its counts held against the size of the file."""
    with path.open("rb") as file:
        content = file.read(_MAX_HEADER_BYTES)
    end = _END.search(content)
    if not end:
        raise ValueError(f"no end_header in the first {_MAX_HEADER_BYTES} bytes")
    content = content[: end.end()]
    is_text = b"format ascii" in content  # a number then takes at least a digit and a space
    elements: list[tuple[str, int, int]] = []  # name, count, least bytes of a row
    columns, corners = [], None
    for line in content.decode("latin-1").splitlines():
        match line.split():
            case ["element", name, count]:
                elements.append((name, int(count), 0))
            case ["property", "list", size, _, name] if elements:
                elements[-1] = _widened(elements[-1], "int16" if is_text else size)
                if elements[-1][0] == "face" and name in _CORNERS:
                    corners = corners or name
            case ["property", size, name] if elements:
                elements[-1] = _widened(elements[-1], "int16" if is_text else size)
                if elements[-1][0] == "vertex":
                    columns.append(name)
    for name, count, row in elements:
        if not 0 <= count * max(row, 1) <= file_size(path):
            raise ValueError(f"element {name} of {count} rows in {file_size(path)} bytes")
    return _Header(content, tuple(columns), corners)


def _widened(element: tuple[str, int, int], size: str) -> tuple[str, int, int]:
    name, count, row = element
    return name, count, row + _SIZES.get(size, 1)


def _triangles(path: Path, polygons: np.ndarray) -> np.ndarray:
    """Fans of (f, k) polygons, or of (f,) polygons of any number of corners."""
    if polygons.dtype != object:
        n_corners = np.full(len(polygons), polygons.shape[1])
    else:
        n_corners = np.array([len(polygon) for polygon in polygons], np.int64)
    report(path, n_corners < 3, "faces have less than 3 corners: they are left out")
    fans = [np.zeros((0, 3), np.int64)]
    for k in np.unique(n_corners[n_corners >= 3]).tolist():
        alike = np.stack(list(polygons[n_corners == k]))
        corners = [(0, i, i + 1) for i in range(1, k - 1)]
        fans.append(alike[:, corners].reshape(-1, 3))
    return np.concatenate(fans)
