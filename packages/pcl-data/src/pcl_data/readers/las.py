"""Scans in LAS and LAZ files, read by laspy (the extra `las`)."""

from pathlib import Path

import numpy as np

from pcl_data.readers.raw_scan import MAX_ARRAY_BYTES, RawScan, file_size, library_errors


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
        raise ImportError(
            "LAS and LAZ files need laspy: pip install 'pcl-data[las]'"
        ) from error
    with library_errors("LAS"), laspy.open(path) as reader:
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
        return RawScan(
            np.asarray(las.xyz), colors=colors, class_codes=np.asarray(las.classification)
        )


def _eight_bits(colors: np.ndarray) -> np.ndarray:
    return (colors >> 8 if colors.size and colors.max() > 255 else colors).astype(np.uint8)
