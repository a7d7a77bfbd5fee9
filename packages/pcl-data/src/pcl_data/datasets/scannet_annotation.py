"""The annotations of a ScanNet scan: segments, groups of them with a category, and boxes.

BenchmarkScripts/3d_helpers of the ScanNet repository (Dai et al., CVPR 2017) reads them alike.
Boxes are those of VoteNet (Qi et al., ICCV 2019): the extent of an instance along the axes.
"""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import IGNORE_INDEX, LabelSet
from pcl_data.readers.records import read_json

TABLE_NAME = "scannetv2-labels.combined.tsv"


class _Group(NamedTuple):
    id: int
    category: str  # as in the label table
    segments: Int64[np.ndarray, " s"]


def read_annotation(
    scan: Path, points: Float32[np.ndarray, "n 3"], raw_ids: dict[str, int], label_set: LabelSet
) -> dict[str, np.ndarray]:
    """Labels, instances, superpoints and boxes of a scan, as fields of a `Scene`; see `ScanNet`.

    Args:
        scan: folder of the scan.
        points: its vertices, in the axes of the boxes.
        raw_ids: id in `label_set` of each raw category.
        label_set: of the labels.

    Raises:
        FileNotFoundError: if there are no segments or groups.
        ValueError: naming the file that is broken or does not fit the others.
    """
    ids, superpoints = np.unique(
        _read_segments(segments_file(scan), len(points)), return_inverse=True
    )
    file = groups_file(scan)
    groups = _read_groups(file)
    with errors_in(file):
        place = _place_of(ids, groups)[superpoints]
        raw = [_raw_id(raw_ids, group.category) for group in groups]
        train = np.append(label_set.to_train(np.array(raw, np.int64)), IGNORE_INDEX)
    labels = train[place]  # the last entry for points in no group
    group_ids = np.array([*(group.id for group in groups), -1])
    instances = np.where(np.isin(labels, label_set.things), group_ids[place], -1)
    return {
        "labels": labels,
        "instances": instances,
        "superpoints": superpoints.astype(np.int64),
        "boxes": _instance_boxes(points, labels, instances),
    }


def read_label_table(file: Path, column: str) -> dict[str, int]:
    """Raw id of each raw category of `scannetv2-labels.combined.tsv`; its first row counts.

    Args:
        file: the table, separated by tabs.
        column: of the ids: nyu40id, or id for ScanNet200.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it lacks the column or has no whole number there.
    """
    with errors_in(file), library_errors("label table"):
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        return {row["raw_category"]: int(row[column]) for row in reversed(rows)}


def segments_file(folder: Path) -> Path:
    """The over-segmentation of the mesh."""
    return folder / f"{folder.name}_vh_clean_2.0.010000.segs.json"


def groups_file(folder: Path) -> Path:
    """The groups of the coarse mesh, or of the fine one where they alone are there."""
    files = [folder / f"{folder.name}{kind}.aggregation.json" for kind in ("", "_vh_clean")]
    return next((file for file in files if file.is_file()), files[0])


def _raw_id(raw_ids: dict[str, int], category: str) -> int:
    if category not in raw_ids:
        raise ValueError(f"label must be a raw_category of {TABLE_NAME}, got {category!r:.80}")
    return raw_ids[category]


def _read_segments(file: Path, n_points: int) -> Int64[np.ndarray, " n"]:
    content = read_json(file)
    with errors_in(file), library_errors("segments"):
        segments = _whole(content["segIndices"])
    if len(segments) != n_points:
        raise ValueError(
            f"{file}: segIndices must have one entry for each of the {n_points} vertices, "
            f"got {len(segments)}"
        )
    return segments


def _read_groups(file: Path) -> list[_Group]:
    content = read_json(file)
    with errors_in(file), library_errors("aggregation"):
        groups = content["segGroups"]
        ids = _whole([group["id"] for group in groups]).tolist()
        if len(set(ids)) < len(ids):
            raise ValueError(f"ids {ids}, not distinct")
        return [
            _Group(group_id, str(group["label"]), _whole(group["segments"]))
            for group_id, group in zip(ids, groups, strict=True)
        ]


def _whole(values: Any) -> Int64[np.ndarray, " s"]:
    array = np.asarray(values) if values != [] else np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind != "i" or array.min(initial=0) < 0:
        raise ValueError(f"an array of {array.dtype} and shape {array.shape}, not of whole ids")
    return array.astype(np.int64)


def _place_of(ids: Int64[np.ndarray, " s"], groups: list[_Group]) -> Int64[np.ndarray, " s"]:
    """Group of each segment, by its place in the list; -1 for none."""
    group_of = np.full(len(ids), -1)
    for place, group in enumerate(groups):
        unknown = np.setdiff1d(group.segments, ids)
        if len(unknown):  # the groups of another mesh
            raise ValueError(
                f"segGroups must name segments of the mesh, got {unknown[:10].tolist()}"
            )
        group_of[np.isin(ids, group.segments)] = place
    return group_of


def _instance_boxes(
    points: Float32[np.ndarray, "n 3"],
    labels: Int64[np.ndarray, " n"],
    instances: Int64[np.ndarray, " n"],
) -> Float32[np.ndarray, "k 8"]:
    """Axis-aligned box of each instance, in ascending order of their ids."""
    boxes = np.zeros((0, 8), np.float32)
    for instance in np.unique(instances[instances >= 0]):
        is_in = instances == instance
        low, high = points[is_in].min(axis=0), points[is_in].max(axis=0)
        box = [*((low + high) / 2), *(high - low), 0, labels[is_in][0]]
        boxes = np.vstack([boxes, np.array(box, np.float32)])
    return boxes
