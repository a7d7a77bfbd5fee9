"""Scans in PLY files: ASCII and binary, with faces; read by plyfile."""

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyParseError

from pcl_data.file_errors import library_errors
from pcl_data.readers.raw_scan import RawScan, file_size, scan_from_columns

_MAX_HEADER_BYTES = 65536
_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}


def read_ply(path: Path) -> RawScan:
    """The element `vertex`, and `face` with its polygons as fans of triangles.

    Besides x, y and z, the properties red green blue, nx ny nz, label and instance are read;
    `RawScan` names what they become. Triangle strips are not read.

    Raises:
        ValueError: if the file is no complete PLY file with a vertex element.
    """
    with library_errors("PLY"):
        face_lists = _check_counts(path)
        data = _read(path, face_lists)
        if "vertex" not in data:
            raise ValueError("no element vertex")
        vertex = data["vertex"]
        columns = {p.name: np.array(vertex[p.name]) for p in vertex.properties}
        faces = None
        if "face" in data and face_lists:
            faces = _triangles(np.asarray(data["face"][face_lists[0]]))
    return scan_from_columns(columns, faces=faces)


def _read(path: Path, face_lists: list[str]) -> PlyData:
    """Triangle meshes are memory-mapped; other polygons are read one by one."""
    if face_lists:
        try:
            return PlyData.read(str(path), known_list_len={"face": dict.fromkeys(face_lists, 3)})
        except (PlyParseError, ValueError):  # not all of them are triangles
            pass
    return PlyData.read(str(path))


def _check_counts(path: Path) -> list[str]:
    """Compare the counts in the header with the size of the file; names of the lists of faces."""
    with path.open("rb") as file:
        header, end, _ = file.read(_MAX_HEADER_BYTES).partition(b"end_header")
    if not end:
        raise ValueError(f"no end_header in the first {_MAX_HEADER_BYTES} bytes")
    is_text = b"format ascii" in header  # a number then takes at least a digit and a space
    elements: list[tuple[str, int, int]] = []  # name, count, least bytes of a row
    face_lists: list[str] = []
    for line in header.decode("ascii").splitlines():
        match line.split():
            case ["element", name, count]:
                elements.append((name, int(count), 0))
            case ["property", "list", size, _, name] if elements:
                elements[-1] = _widened(elements[-1], "int16" if is_text else size)
                if elements[-1][0] == "face" and name in ("vertex_indices", "vertex_index"):
                    face_lists.append(name)
            case ["property", size, _] if elements:
                elements[-1] = _widened(elements[-1], "int16" if is_text else size)
    for name, count, row in elements:
        if not 0 <= count * max(row, 1) <= file_size(path):
            raise ValueError(f"element {name} of {count} rows in {file_size(path)} bytes")
    return face_lists


def _widened(element: tuple[str, int, int], size: str) -> tuple[str, int, int]:
    name, count, row = element
    return name, count, row + _SIZES.get(size, 1)


def _triangles(polygons: np.ndarray) -> np.ndarray:
    """Fans of (f, k) polygons, or of (f,) polygons of any number of corners."""
    if polygons.dtype != object:
        return _fans(polygons)
    n_corners = np.array([len(polygon) for polygon in polygons], np.int64)
    fans = [_fans(np.stack(list(polygons[n_corners == k]))) for k in np.unique(n_corners).tolist()]
    return np.concatenate(fans) if fans else np.zeros((0, 3), np.int64)


def _fans(polygons: np.ndarray) -> np.ndarray:
    """(f, k) corners -> (f * (k - 2), 3) triangles that share the first corner."""
    k = polygons.shape[1]
    if k < 3:
        raise ValueError(f"a face with {k} corners")
    corners = [(0, i, i + 1) for i in range(1, k - 1)]
    return polygons[:, corners].reshape(-1, 3)
