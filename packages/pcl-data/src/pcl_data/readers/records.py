"""The small files of official data set layouts: records, matrices, JSON tables, images.

Each is read whole, checked, and gives one `ValueError` that names the file.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from PIL import Image, UnidentifiedImageError

from pcl_data.file_errors import errors_in, library_errors

MAX_PIXELS = 2**26  # of one image; the largest of the known data sets has 2 million


def read_records(path: Path, dtype: str | np.dtype, n_columns: int = 1) -> np.ndarray:
    """The rows of a headerless binary file.

    Args:
        path: the file.
        dtype: type of a value in the file, with its byte order: `<f4`.
        n_columns: values in a row.

    Returns:
        (n, n_columns) array, or (n,) of one column.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the size of the file is no multiple of a row's.
    """
    row = np.dtype(dtype).itemsize * n_columns
    with errors_in(path):
        data = path.read_bytes()
        if len(data) % row:
            raise ValueError(f"must hold rows of {row} bytes, got {len(data)} bytes")
    values = np.frombuffer(data, dtype)
    return values if n_columns == 1 else values.reshape(-1, n_columns)


def read_matrix(path: Path, shape: tuple[int, int]) -> Float64[np.ndarray, "r c"]:
    """The matrix of a text file, one row a line.

    Infinite and NaN entries are kept: data sets mark lost camera poses with them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not exactly such a matrix of numbers.
    """
    with errors_in(path), library_errors("matrix"):
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        matrix = np.array([row for row in rows if row], np.float64)
        if matrix.shape != shape:
            raise ValueError(
                f"{shape[0]} rows of {shape[1]} numbers expected, {matrix.shape} found"
            )
    return matrix


def read_json(path: Path, expected: type = dict) -> Any:
    """The object (or, if expected, the list) in a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no JSON, or holds something else.
    """
    with errors_in(path), library_errors("JSON"):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, expected):
        raise ValueError(f"{path}: must hold a {expected.__name__}, got {type(content).__name__}")
    return content


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The RGB image of a JPEG or PNG file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is broken or has more than `MAX_PIXELS`.
    """
    with errors_in(path):
        return decode_image(path.read_bytes())


def decode_image(data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """The RGB image of the content of a JPEG or PNG file.

    Raises:
        ValueError: if it is broken or has more than `MAX_PIXELS`.
    """
    with library_errors("image"), open_image(BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def read_depth(path: Path, steps_per_metre: float | int = 1000) -> Float32[np.ndarray, "h w"]:
    """The depth in metres of a 16-bit PNG file, 0 where there is no measurement.

    Args:
        path: the file.
        steps_per_metre: 1000 where the file holds millimetres.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is broken, has more than `MAX_PIXELS`, or not one channel of integers.
    """
    with errors_in(path), library_errors("depth"), open_image(path) as image:
        if image.mode not in ("I;16", "I"):
            raise ValueError(f"mode {image.mode}, not one 16-bit channel")
        return np.array(image).astype(np.float32) / np.float32(steps_per_metre)


def open_image(source: Path | BytesIO, formats: list[str] | None = None) -> Image.Image:
    """The image in a file of one of these formats, by default any, before it is decoded.

    Raises:
        ValueError: if it is none or has more than `MAX_PIXELS`.
    """
    try:
        image = Image.open(source, formats=formats)
    except UnidentifiedImageError as error:  # names the address of a BytesIO
        raise ValueError(f"no {' or '.join(formats or ['known'])} image") from error
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS}")
    return image
