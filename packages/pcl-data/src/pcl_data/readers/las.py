"""Scans in LAS and LAZ files, read by laspy (the extra `las`).

Format: ASPRS, "LAS Specification 1.4 - R15", section 2.4 (public header block).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.las_counts import check_counts
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.readers.size_bounds import check_unpacked, file_size

if TYPE_CHECKING:
    import laspy


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
        return scan_from_columns({name: np.asarray(las[name]) for name in _names(reader)}, columns)


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
        check_counts(path)
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
