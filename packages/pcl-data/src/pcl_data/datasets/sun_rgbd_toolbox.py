"""SUN RGB-D as the scripts of its toolbox leave it: MATLAB files of points, text files of boxes.

Formats: sunrgbd/matlab/extract_rgbd_data_v2.m and sunrgbd_utils.py of Qi et al., "Deep Hough
Voting", ICCV 2019.
"""

from math import prod
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Shaped
from scipy.io import loadmat, whosmat

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import SUNRGBD10
from pcl_data.readers.size_bounds import MAX_ARRAY_BYTES

_POINTS = "instance"  # name of the one variable in a file of points


def read_toolbox_points(path: Path) -> Shaped[np.ndarray, "n 6"]:
    """Rows x right, y forward, z up (metres), r, g, b (0-1) of a `depth/<id>.mat`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no MATLAB file of version 5 to 7 with such rows.
    """
    with errors_in(path), library_errors("MATLAB"):
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        shape = shapes.get(_POINTS, ())
        if len(shape) != 2 or shape[1] != 6 or not shape[0] or prod(shape) * 8 > MAX_ARRAY_BYTES:
            raise ValueError(f"a variable {_POINTS} of shape (n, 6), {shapes} found")
        table = loadmat(path, variable_names=[_POINTS])[_POINTS]
        if table.dtype.kind != "f":
            raise ValueError(f"{_POINTS} of {table.dtype}")
    return table


def read_toolbox_boxes(path: Path) -> Float64[np.ndarray, "k 8"]:
    """Boxes of a `label/<id>.txt`: centre, full sizes, heading counter-clockwise, train id.

    A line is: class, 2D box (4), centre (3), half the width, the length and the height, and the
    direction of the length (2). Objects of classes outside of `SUNRGBD10` are left out, as
    everybody does.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is no such line.
    """
    with errors_in(path), library_errors("label"):
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        if any(len(line) != 13 for line in lines if line):
            raise ValueError("lines of a class and 12 numbers expected")
        known = [line for line in lines if line and line[0] in SUNRGBD10.names]
        labels = np.array([SUNRGBD10.names.index(line[0]) for line in known], np.float64)
        numbers = np.array([line[1:] for line in known], np.float64).reshape(-1, 12)
        if not np.isfinite(numbers).all() or (numbers[:, 7:10] < 0).any():
            raise ValueError("finite numbers and sizes of at least 0 expected")
    width, length, height = 2 * numbers[:, 7:10].T
    heading = np.arctan2(numbers[:, 11], numbers[:, 10])
    return np.column_stack([numbers[:, 4:7], length, width, height, heading, labels])
