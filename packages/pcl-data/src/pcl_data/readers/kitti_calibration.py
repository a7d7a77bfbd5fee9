"""Calibration and pose files of KITTI: named matrices, projections, trajectories.

Formats: the readmes of the odometry and object development kits of Geiger et al., "Are we ready for
Autonomous Driving?", CVPR 2012.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.rigid import rigid


def read_kitti_calibration(
    path: Path, shapes: dict[str, tuple[int, int]]
) -> dict[str, Float64[np.ndarray, "r c"]]:
    """The named matrices of a file of `name: numbers` lines, numbers row by row.

    Args:
        path: the file.
        shapes: shape of each matrix that is asked for; other lines are passed over.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a matrix is missing, or is no matrix of finite numbers of its shape.
    """
    with errors_in(path), library_errors("calibration"):
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = dict(line.split(":", 1) for line in lines if ":" in line)
        return {name: _matrix(rows, name, shape) for name, shape in shapes.items()}


def _matrix(rows: dict[str, str], name: str, shape: tuple[int, int]) -> np.ndarray:
    if name not in rows:
        raise ValueError(f"no line {name}")
    values = np.array(rows[name].split(), np.float64)
    if len(values) != shape[0] * shape[1] or not np.isfinite(values).all():
        raise ValueError(f"{name} is no matrix of {shape[0]} x {shape[1]} finite numbers")
    return values.reshape(shape)


def pinhole(
    projection: Float[np.ndarray, "3 4"],
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
    """Intrinsics of a rectified camera, and its pose in the frame of camera 0.

    A projection is `K [I | t]`: all rectified cameras look the same way, and `t` leads from camera
    0 to this one.

    Raises:
        ValueError: if the left part of the projection is no matrix K of focal lengths and centre.
    """
    intrinsics = projection[:, :3]
    is_upper = np.array_equal(intrinsics, np.triu(intrinsics)) and intrinsics[2, 2] == 1
    if not is_upper or min(intrinsics[0, 0], intrinsics[1, 1]) <= 0:
        raise ValueError(f"projection must be K [I | t], got {projection.tolist()}")
    return intrinsics, rigid(np.eye(3), -np.linalg.solve(intrinsics, projection[:, 3]))


def read_kitti_poses(path: Path) -> Float64[np.ndarray, "m 3 4"]:
    """Pose of camera 0 at each sweep, in the frame of the first one, as rows [R | t].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is not 12 numbers. Infinite ones are kept: `rigid` refuses them once
            the sweep is asked for.
    """
    with errors_in(path), library_errors("pose"):
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row for row in rows if row]
        if any(len(row) != 12 for row in rows):
            raise ValueError("rows of 12 numbers expected")
        return np.array(rows, np.float64).reshape(-1, 3, 4)
