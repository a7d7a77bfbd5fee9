"""Scans in PLY files: ASCII and binary, with faces.

Format: Greg Turk, "The PLY Polygon File Format", 1994. The header is bytes: comments may be of any
encoding.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.ply_elements import Element, Header, read_elements, read_header
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.scan_values import report

_CORNERS = ("vertex_indices", "vertex_index")


def read_ply(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """The element `vertex`, and `face` with its polygons as fans of triangles.

    `scan_from_columns` tells which properties are read. Faces of less than three corners are left
    out, with a warning that counts them. Triangle strips are not read.

    Raises:
        ValueError: if the file is no complete PLY file with a vertex element.
    """
    with library_errors("PLY"):
        header = read_header(path)
        vertex, face = _vertex(header), header.element("face")
        corners = None if face is None else next((n for n in _CORNERS if n in face.lists), None)
        tables = read_elements(path, header, {"vertex": None, **({"face": corners} if corners else {})})
        faces = _triangles(path, *tables["face"]) if corners else None
    return scan_from_columns(tables["vertex"], columns, faces=faces)


def ply_columns(path: Path) -> tuple[str, ...]:
    """Names of the properties of the vertices, from the header alone."""
    with library_errors("PLY"):
        return tuple(_vertex(read_header(path)).scalars)


def _vertex(header: Header) -> Element:
    vertex = header.element("vertex")
    if vertex is None:
        raise ValueError("no element vertex")
    return vertex


def _triangles(path: Path, corners: np.ndarray, n_corners: np.ndarray) -> np.ndarray:
    """Fans of polygons, whose corners follow each other."""
    report(path, n_corners < 3, "faces have less than 3 corners: they are left out")
    starts = np.cumsum(n_corners) - n_corners
    fans = [np.zeros((0, 3), np.int64)]
    for k in np.unique(n_corners[n_corners >= 3]).tolist():
        first = starts[n_corners == k]
        fans += [
            np.stack([corners[first], corners[first + i], corners[first + i + 1]], axis=1)
            for i in range(1, k - 1)
        ]
    return np.concatenate(fans)
