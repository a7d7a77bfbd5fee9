"""A raw scan: the arrays of one file or folder, and the scene that they become.

Every reader returns a raw scan, whatever the format; what a scene makes of it is decided here.
"""

import os
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from pcl_data.file_errors import NeedsOption
from pcl_data.label_set import IGNORE_INDEX, LabelSet
from pcl_data.scan_values import (
    eight_bit_colors,
    faces_of_points,
    far_origin,
    known_normals,
    near_points,
    unit_intensity,
    whole_ids,
)
from pcl_data.scene import Scene

LabelIds = Literal["train", "raw", "none"]
_MOST_FLOAT32 = np.finfo(np.float32).max
# Arrays with a row for each point.
_TRIPLES = ("points", "colors", "normals")
_ROWS = (*_TRIPLES, "labels", "instances", "superpoints", "intensity", "times", "class_codes")


@dataclass(frozen=True, eq=False)
class RawScan:
    """Arrays of numbers of any type; the first axis of each but `faces` is the point.

    Args:
        points: (n, 3) coordinates.
        colors: (n, 3), as `eight_bit_colors` takes them.
        normals: (n, 3).
        labels: (n,) class ids, train or raw as the caller of `read_scene` says.
        instances: (n,) instance ids.
        superpoints: (n,) geometric sets.
        intensity: (n,), as `unit_intensity` takes it.
        times: (n,) seconds.
        faces: (f, 3) rows of `points`.
        labels_are_raw: the file itself says that `labels` are raw ids (`nyu40`).
        class_codes: (n,) raw ids of the format (LAS classification), used only on request.
        origin: (3,) what was taken off the points before they were stored.
        unread: names of the columns that were not understood.
    """

    points: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    superpoints: np.ndarray | None = None
    intensity: np.ndarray | None = None
    times: np.ndarray | None = None
    faces: np.ndarray | None = None
    labels_are_raw: bool = False
    class_codes: np.ndarray | None = None
    origin: np.ndarray | None = None
    unread: tuple[str, ...] = ()


def scene_of_scan(
    scan: RawScan,
    name: str,
    owner: str | os.PathLike[str],
    *,
    label_set: LabelSet | None = None,
    label_ids: LabelIds = "train",
    drop_invalid: bool = False,
) -> Scene:
    """The scan in the conventions of `Scene`, by the rules of `read_scene`.

    Args:
        scan: as it was read.
        name: of the scene.
        owner: file or folder, named in warnings.
        label_set: meaning of the labels.
        label_ids: what the ids are, as in `read_scene`.
        drop_invalid: leave out points with a NaN or infinite coordinate.

    Raises:
        NeedsOption: if there are such points and they are not to be left out.
        ValueError: if arrays do not fit each other, or hold what no scene may have.
    """
    _check_rows(scan)
    n_points, faces = len(scan.points), scan.faces
    scan, valid_rows = _valid_scan(scan, drop_invalid)
    labels, instances = _labels_and_instances(scan, owner, label_set, label_ids)
    step = far_origin(scan.points)
    ids, origins = scan.superpoints, [each for each in (scan.origin, step) if each is not None]
    return Scene(
        name,
        near_points(scan.points, step),
        colors=None if scan.colors is None else eight_bit_colors(scan.colors, owner),
        normals=None if scan.normals is None else known_normals(scan.normals, owner),
        labels=labels,
        instances=instances,
        superpoints=None if ids is None else whole_ids("superpoints", ids, owner),
        faces=None if faces is None else faces_of_points(faces, valid_rows, n_points, owner),
        label_set=label_set,
        intensity=None if scan.intensity is None else unit_intensity(scan.intensity, owner),
        times=None if scan.times is None else scan.times.astype(np.float32, copy=False),
        origin=np.sum(origins, axis=0) if origins else None,
        valid_rows=valid_rows,
    )


def _check_rows(scan: RawScan) -> None:
    n_points = len(scan.points) if scan.points.ndim else 0
    for field in (*_ROWS, "faces"):
        array = getattr(scan, field)
        if array is None:
            continue
        n_rows = len(array) if field == "faces" and array.ndim else n_points
        shape = (n_rows, 3) if field in (*_TRIPLES, "faces") else (n_rows,)
        if array.shape != shape:
            raise ValueError(f"{field} must have shape {shape}, got {array.shape}")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{field} must hold numbers, got {array.dtype}")


def _valid_scan(scan: RawScan, drop_invalid: bool) -> tuple[RawScan, Bool[np.ndarray, " m"] | None]:
    """The scan without the points that have no place; its rows, if it is not the whole one."""
    points = scan.points
    if not points.size or (points.min() >= -_MOST_FLOAT32 and points.max() <= _MOST_FLOAT32):
        return scan, None
    is_valid = np.all(np.abs(points) <= _MOST_FLOAT32, axis=1)  # false for NaN
    n_points, n_valid = len(is_valid), int(is_valid.sum())
    if not drop_invalid:
        raise NeedsOption(
            f"points must be finite, got {n_points - n_valid} NaN or infinite ones among "
            f"{n_points}",
            "drop_invalid=true",
            "leaves them out",
        )
    arrays = {field: getattr(scan, field) for field in _ROWS}
    kept = {field: array[is_valid] for field, array in arrays.items() if array is not None}
    return replace(scan, **kept), np.asarray(is_valid)


def _labels_and_instances(
    scan: RawScan, owner: str | os.PathLike[str], label_set: LabelSet | None, label_ids: LabelIds
) -> tuple[Int64[np.ndarray, " n"] | None, Int64[np.ndarray, " n"] | None]:
    """Train ids, and instances of things alone where it is known what a thing is."""
    if label_ids == "none":
        return None, None
    is_raw = label_ids == "raw" or scan.labels_are_raw
    if is_raw and label_set is None:
        raise ValueError("label_set must be given for raw labels (nyu40), got None")
    codes = scan.class_codes if label_ids == "raw" and scan.labels is None else scan.labels
    n_known = None if label_set is None else _n_known(label_set, is_raw)
    labels = None if codes is None else whole_ids("labels", codes, owner, n_known)
    instances = scan.instances
    if instances is not None:
        instances = whole_ids("instances", instances, owner)
    if label_set is None:
        return labels, instances
    if labels is not None and is_raw:
        is_known = labels != IGNORE_INDEX
        train = label_set.to_train(np.where(is_known, labels, 0))
        labels = np.where(is_known, train, IGNORE_INDEX)
    if instances is not None:
        rows = np.flatnonzero(instances != IGNORE_INDEX)
        is_none = (instances[rows] == 0) & is_raw
        if labels is not None and len(rows):
            is_none |= ~np.isin(labels[rows], label_set.things)
        if is_none.any():
            instances = np.array(instances)
            instances[rows[is_none]] = IGNORE_INDEX
    return labels, instances


def _n_known(label_set: LabelSet, is_raw: bool) -> int:
    """The number above the largest id that the label set knows."""
    if not is_raw:
        return label_set.n_classes
    merged = (raw for raw, _ in label_set.merged_raw_ids)
    return 1 + max(*label_set.raw_ids, *label_set.ignored_raw_ids, *merged)
