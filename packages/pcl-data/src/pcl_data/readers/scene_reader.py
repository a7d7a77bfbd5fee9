"""Any scan, whatever its format, as a `Scene`.

Broken and hostile files give one `ValueError` that names the file and the rule: sizes that a
header claims are compared with the size of the file before memory is asked for, and nothing is
ever unpickled.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int64

from pcl_data.file_errors import errors_in
from pcl_data.label_set import IGNORE_INDEX, LabelSet
from pcl_data.readers.las import read_las
from pcl_data.readers.npy import read_npy
from pcl_data.readers.npz import read_npz
from pcl_data.readers.pcd import read_pcd
from pcl_data.readers.ply import read_ply
from pcl_data.readers.raw_scan import RawScan
from pcl_data.readers.text import read_text
from pcl_data.scene import Scene
from pcl_data.scene_store import load_scene

LabelIds = Literal["train", "raw", "none"]

# Reader of each file suffix.
READERS: dict[str, Callable[[Path], RawScan]] = {
    ".ply": read_ply,
    ".pcd": read_pcd,
    ".npz": read_npz,
    ".npy": read_npy,
    ".txt": read_text,
    ".xyz": read_text,
    ".csv": read_text,
    ".las": read_las,
    ".laz": read_las,
}
_FLOAT32_RANGE = 8192.0  # metres; beyond it neighbouring float32 numbers are 1 mm and more apart


def is_readable(path: str | os.PathLike[str]) -> bool:
    """Whether `read_scene` knows the format: a scene folder, or a file with a known suffix."""
    path = Path(path)
    return is_scene_folder(path) or (path.is_file() and path.suffix.lower() in READERS)


def is_scene_folder(path: Path) -> bool:
    """Whether `load_scene` takes this folder."""
    return (path / "coord.npy").is_file()


def read_scene(
    path: str | os.PathLike[str],
    *,
    label_set: LabelSet | None = None,
    label_ids: LabelIds = "train",
    drop_invalid: bool = False,
) -> Scene:
    """The scan in a file or scene folder, in the conventions of `Scene`.

    - Colours: integers 0-255 stay, floats of at most 1 are scaled by 255, other floats up to 255
      are rounded.
    - Coordinates stored with more than float32 precision that lie more than 8192 m from the
      origin (georeferenced scans) are moved by whole metres, with a warning that says by how much.
    - Raw labels go through `label_set.to_train`; then instance 0 becomes -1, and so do the
      instances of stuff and unlabeled points. The array `nyu40` of an `.npz` always holds raw
      labels. The classification of LAS is used with `label_ids="raw"` only.

    Args:
        path: PLY, PCD, NPZ, NPY, TXT, XYZ, CSV, LAS or LAZ file, or a folder of `save_scene`.
        label_set: meaning of the labels.
        label_ids: what the ids in the file are; with "train" -1 is unlabeled and no instance;
            with "none" labels and instances are left out, whatever they hold.
        drop_invalid: leave out points with a NaN or infinite coordinate, and their faces. The rows
            of the scene are then no longer the rows of the file. A scene folder with such points
            is always an error.

    Returns:
        A scene named after the file, without suffix, or after the folder.

    Raises:
        FileNotFoundError: if there is no such path.
        ImportError: naming the extra `las`, if the file needs it.
        ValueError: naming the file, if it is broken, of an unknown format, or holds values that a
            scene may not have; or if raw labels come without a label set.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "room.txt"
        >>> _ = path.write_text("0 0 1.5 255 0 0\\n1 0 1.5 0 255 0\\n")
        >>> scene = read_scene(path)
        >>> scene.name, scene.points.shape, scene.colors.tolist()
        ('room', (2, 3), [[255, 0, 0], [0, 255, 0]])
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path must exist, got {path}")
    if label_ids not in get_args(LabelIds):
        raise ValueError(f"label_ids must be 'train', 'raw' or 'none', got {label_ids!r}")
    if label_ids == "raw" and label_set is None:
        raise ValueError("label_set must be given with label_ids='raw', got None")
    if is_scene_folder(path):
        return _stored_scene(path, label_set, label_ids)
    if not is_readable(path):
        raise ValueError(f"path must be a scene folder or {' '.join(READERS)} file, got {path}")
    with errors_in(path):
        scan = READERS[path.suffix.lower()](path)
        if label_ids == "none":
            scan = replace(scan, labels=None, instances=None, labels_are_raw=False)
        return _scene(path.stem, scan, label_set, label_ids, drop_invalid)


def _stored_scene(path: Path, label_set: LabelSet | None, label_ids: LabelIds) -> Scene:
    if label_ids == "none":
        scene = replace(load_scene(path), labels=None, instances=None)
    elif label_ids == "train" or label_set is None:
        scene = load_scene(path, label_set)
    else:
        scene = load_scene(path)
        labels, instances = _train_ids(scene.labels, scene.instances, label_set)
        scene = replace(scene, labels=labels, instances=instances, label_set=label_set)
    return scene if scene.name == path.name else replace(scene, name=path.name)


def _scene(
    name: str, scan: RawScan, label_set: LabelSet | None, label_ids: LabelIds, drop_invalid: bool
) -> Scene:
    _check_rows(scan)
    scan = _finite_rows(scan, drop_invalid)
    labels = _ids("labels", scan.labels)
    instances = _ids("instances", scan.instances)
    if label_ids == "raw" and labels is None:
        labels = _ids("class_codes", scan.class_codes)
    if label_ids == "raw" or scan.labels_are_raw:
        if label_set is None:
            raise ValueError("label_set must be given for raw labels (nyu40), got None")
        labels, instances = _train_ids(labels, instances, label_set)
    return Scene(
        name,
        _points(scan.points),
        colors=_colors(scan.colors),
        normals=None if scan.normals is None else scan.normals.astype(np.float32),
        labels=labels,
        instances=instances,
        superpoints=_ids("superpoints", scan.superpoints),
        faces=_ids("faces", scan.faces),
        label_set=label_set,
    )


def _train_ids(
    labels: Int64[np.ndarray, " n"] | None,
    instances: Int64[np.ndarray, " n"] | None,
    label_set: LabelSet,
) -> tuple[Int64[np.ndarray, " n"] | None, Int64[np.ndarray, " n"] | None]:
    """Train labels of raw ones; instances of things alone, as Contrastive Scene Contexts has it."""
    if labels is not None:
        labels = label_set.to_train(labels)
    if instances is not None:
        has_instance = instances != 0
        if labels is not None:
            has_instance &= np.isin(labels, label_set.things)
        instances = np.where(has_instance, instances, IGNORE_INDEX)
    return labels, instances


def _check_rows(scan: RawScan) -> None:
    n_points = len(scan.points) if scan.points.ndim else 0
    for field in ("points", "colors", "normals", "labels", "instances", "superpoints"):
        array = getattr(scan, field)
        if array is None:
            continue
        shape = (n_points, 3) if field in ("points", "colors", "normals") else (n_points,)
        if array.shape != shape:
            raise ValueError(f"{field} must have shape {shape}, got {array.shape}")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{field} must hold numbers, got {array.dtype}")


def _finite_rows(scan: RawScan, drop_invalid: bool) -> RawScan:
    """The scan without the points that have no place, or an error that counts them."""
    with np.errstate(over="ignore"):
        is_valid = np.asarray(np.isfinite(scan.points.astype(np.float32)).all(axis=1))
    n_points, n_valid = len(is_valid), int(is_valid.sum())
    if n_valid == n_points:
        return scan
    if not drop_invalid:
        raise ValueError(
            f"points must be finite, got {n_points - n_valid} NaN or infinite ones among "
            f"{n_points}; drop_invalid=True leaves them out"
        )
    fields = ("points", "colors", "normals", "labels", "instances", "superpoints", "class_codes")
    arrays = {field: getattr(scan, field) for field in fields}
    kept = {name: array[is_valid] for name, array in arrays.items() if array is not None}
    return replace(scan, **kept, faces=_faces_of(scan.faces, is_valid))


def _faces_of(faces: np.ndarray | None, is_kept: np.ndarray) -> np.ndarray | None:
    """Faces among the kept points, renumbered."""
    if faces is None or not faces.size:
        return faces
    if not 0 <= faces.min() <= faces.max() < len(is_kept):
        raise ValueError(
            f"faces must lie in [0, {len(is_kept)}), got [{faces.min()}, {faces.max()}]"
        )
    new_row = np.cumsum(is_kept) - 1
    return new_row[faces[is_kept[faces].all(axis=1)]]


def _points(points: np.ndarray) -> np.ndarray:
    if points.dtype not in (np.float16, np.float32) and points.size:
        points = points.astype(np.float64)
        if np.abs(points).max() > _FLOAT32_RANGE:
            origin = np.floor(points.min(axis=0))
            warnings.warn(
                f"points lie more than {_FLOAT32_RANGE:g} m from the origin, where float32 is too "
                f"coarse: {origin.tolist()} is subtracted",
                stacklevel=4,
            )
            points = points - origin
    return np.ascontiguousarray(points, np.float32)


def _colors(colors: np.ndarray | None) -> np.ndarray | None:
    if colors is None:
        return None
    if colors.size and not 0 <= colors.min() <= colors.max() <= 255:  # also catches NaN
        raise ValueError(
            f"colors must lie in [0, 255], or in [0, 1] as floats, "
            f"got [{colors.min():g}, {colors.max():g}]"
        )
    if colors.dtype.kind == "f":
        colors = np.rint(colors * 255.0 if colors.size and colors.max() <= 1 else colors)
    return np.ascontiguousarray(colors, np.uint8)


def _ids(field: str, ids: np.ndarray | None) -> np.ndarray | None:
    """Whole numbers as int64."""
    if ids is None:
        return None
    with np.errstate(invalid="ignore"):
        whole = np.ascontiguousarray(ids.astype(np.int64))
    if not np.array_equal(whole, ids):
        odd = ids[ids != whole][0]
        raise ValueError(f"{field} must be whole numbers below 2**63, got {odd}")
    return whole
