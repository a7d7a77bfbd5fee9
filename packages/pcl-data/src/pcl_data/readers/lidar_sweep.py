"""LiDAR sweeps in headerless binary files, as KITTI and nuScenes keep them."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pcl_data.file_errors import errors_in
from pcl_data.readers.records import read_records

MAX_RANGE = 1000.0  # metres; automotive sensors reach 250


def read_sweep(
    path: Path, n_columns: int, full_intensity: int
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, " n"]]:
    """Points in the frame of the sensor, and the intensity of each as a fraction.

    Args:
        path: file of rows of little-endian float32: x, y, z, intensity and what follows them.
        n_columns: values in a row.
        full_intensity: value of the strongest return: 1 in KITTI, 255 in nuScenes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file: incomplete, without a point, with a coordinate beyond
            `MAX_RANGE` (another byte order, another number of columns) or an intensity outside
            [0, full_intensity].
    """
    rows = read_records(path, "<f4", n_columns)
    points, intensity = np.ascontiguousarray(rows[:, :3]), rows[:, 3] / np.float32(full_intensity)
    with errors_in(path):
        if not len(rows):
            raise ValueError("must hold at least one point, got 0")
        is_near = np.abs(points) <= MAX_RANGE  # false for NaN
        if not is_near.all():
            row = int(np.argmin(is_near.all(axis=1)))
            raise ValueError(
                f"must hold rows of {n_columns} little-endian float32 that begin with metres "
                f"within {MAX_RANGE:g}, got {points[row].tolist()} in row {row}"
            )
        is_fraction = (intensity >= 0) & (intensity <= 1)
        if not is_fraction.all():
            row = int(np.argmin(is_fraction))
            raise ValueError(
                f"intensity must lie in [0, {full_intensity}], got {rows[row, 3]} in row {row}"
            )
    return points, intensity
