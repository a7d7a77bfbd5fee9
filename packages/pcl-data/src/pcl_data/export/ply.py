"""Point clouds with predictions as files that viewers open."""

import os

import numpy as np
from jaxtyping import Float, Integer, UInt8
from plyfile import PlyData, PlyElement

from pcl_data.atomic_files import whole_file


def write_ply(
    path: str | os.PathLike[str],
    points: Float[np.ndarray, "n 3"],
    *,
    colors: UInt8[np.ndarray, "n 3"] | None = None,
    labels: Integer[np.ndarray, " n"] | None = None,
    instances: Integer[np.ndarray, " n"] | None = None,
    confidence: Float[np.ndarray, " n"] | None = None,
    normals: Float[np.ndarray, "n 3"] | None = None,
    faces: Integer[np.ndarray, "f 3"] | None = None,
    origin: Float[np.ndarray, "3"] | None = None,
) -> None:
    """Write a binary little-endian PLY file, whole or not at all.

    The properties are `x y z nx ny nz red green blue label instance confidence`, as far as given;
    CloudCompare and MeshLab open it coloured and offer the others as scalar fields. A file that is
    there already is replaced; folders must exist.

    Args:
        path: the file.
        points: metres, written as float32; with an `origin`, as float64. A row of NaN is a point
            that has no place.
        colors: RGB.
        labels: class ids, -1 unlabeled; written as int32.
        instances: instance ids, -1 none; written as int32.
        confidence: fraction 0-1, written as float32.
        normals: unit normals, written as float32.
        faces: triangles, rows of `points`.
        origin: of a `Scene`, metres: what is added to the points.

    Raises:
        ValueError: if an array has another length than `points` or the wrong shape, a coordinate is
            infinite or NaN beside one that is not, another number is not finite, an id does not fit
            int32, or a face names a point that does not exist.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from pcl_data.readers import read_scene
        >>> path = f"{tempfile.mkdtemp()}/room.ply"
        >>> write_ply(path, np.zeros((2, 3), np.float32), labels=np.array([3, -1]))
        >>> read_scene(path).labels.tolist()
        [3, -1]
    """
    n_points = len(points)
    vertex: dict[str, np.ndarray] = {}
    if origin is not None:
        points = points.astype(np.float64) + origin
    coordinate = "<f4" if origin is None else "<f8"
    _add(vertex, n_points, "points", points, ("x", "y", "z"), coordinate)
    _add(vertex, n_points, "normals", normals, ("nx", "ny", "nz"), "<f4")
    _add(vertex, n_points, "colors", colors, ("red", "green", "blue"), "u1")
    _add(vertex, n_points, "labels", labels, ("label",), "<i4")
    _add(vertex, n_points, "instances", instances, ("instance",), "<i4")
    _add(vertex, n_points, "confidence", confidence, ("confidence",), "<f4")
    table = np.empty(n_points, [(name, column.dtype) for name, column in vertex.items()])
    for name, column in vertex.items():
        table[name] = column
    elements = [PlyElement.describe(table, "vertex")]
    if faces is not None:
        elements.append(PlyElement.describe(_face_rows(faces, n_points), "face"))
    with whole_file(path) as file:
        PlyData(elements, byte_order="<").write(file)


def _add(
    vertex: dict[str, np.ndarray],
    n_points: int,
    field: str,
    array: np.ndarray | None,
    names: tuple[str, ...],
    dtype: str,
) -> None:
    """Put the columns of an array into `vertex`, in their type in the file."""
    if array is None:
        return
    shape = (n_points, 3) if len(names) == 3 else (n_points,)
    if array.shape != shape:
        raise ValueError(f"{field} must have shape {shape}, got {array.shape}")
    target = np.dtype(dtype)
    if target.kind in "iu" and array.size:
        limits = np.iinfo(target)
        if not limits.min <= array.min() <= array.max() <= limits.max:
            raise ValueError(f"{field} must fit {target}, got [{array.min()}, {array.max()}]")
    with np.errstate(over="ignore"):
        columns = array.reshape(n_points, len(names)).astype(target)
    has_no_place = np.isnan(columns).all(axis=1) & (field == "points")
    if target.kind == "f" and not np.isfinite(columns[~has_no_place]).all():
        raise ValueError(f"{field} must be finite, got NaN or a value beyond {target}")
    vertex.update(zip(names, columns.T, strict=True))


def _face_rows(faces: np.ndarray, n_points: int) -> np.ndarray:
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"faces must have shape (f, 3), got {faces.shape}")
    if faces.size and not 0 <= faces.min() <= faces.max() < n_points:
        raise ValueError(f"faces must lie in [0, {n_points}), got [{faces.min()}, {faces.max()}]")
    rows = np.empty(len(faces), [("vertex_indices", "<i4", (3,))])
    rows["vertex_indices"] = faces
    return rows
