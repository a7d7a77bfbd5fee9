"""ScanNet v2 in its official layout.

Files, label table and annotations: the ScanNet repository and its benchmark scripts (Dai et al.,
"ScanNet", CVPR 2017). ScanNet200 takes the column `id` of the same table (Rozenberszki et al.,
ECCV 2022). Boxes are those of VoteNet (Qi et al., ICCV 2019): the extent of an instance along the
aligned axes.
"""

import csv
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from jaxtyping import Float32, Float64, Int64

from pcl_data.datasets.file_dataset import FileDataset
from pcl_data.datasets.scannet_frames import FrameSource, read_scannet_frames, scannet_frame_files
from pcl_data.label_set import IGNORE_INDEX, NYU40, SCANNET20, SCANNET200, LabelSet
from pcl_data.readers.file_errors import errors_in, library_errors
from pcl_data.readers.ply import read_ply
from pcl_data.readers.records import read_json
from pcl_data.scene import LazyFrames, Scene
from pcl_data.splits import read_split

SPLITS = ("train", "val", "test")
_TABLE = "scannetv2-labels.combined.tsv"
_COLUMNS = {NYU40.name: "nyu40id", SCANNET20.name: "nyu40id", SCANNET200.name: "id"}


class _Group(NamedTuple):
    id: int
    category: str  # as in the label table
    segments: Int64[np.ndarray, " s"]


class ScanNet(FileDataset):
    """Reconstructed rooms with labels, instances, superpoints, boxes and, if asked for, frames.

    A scene is the mesh `scans/<id>/<id>_vh_clean_2.ply`, turned and shifted by the `axisAlignment`
    of `<id>.txt`, where there is one. Superpoints are the segments of `.segs.json`, renumbered from
    0; instances are the groups of `.aggregation.json` (or `_vh_clean.aggregation.json`) by their
    `id`, of things alone; where groups overlap, the last one counts. A group whose category is not
    in the label table is an error. Scenes of `scans_test/` have none of these.

    Args:
        root: folder with `scans/`, `scans_test/`, `scannetv2_{train,val,test}.txt` and
            `scannetv2-labels.combined.tsv`.
        split: train, val, test, or scene names, which are looked for in `scans/` and then in
            `scans_test/`.
        label_set: SCANNET20, NYU40 or SCANNET200.
        frames: none; the stream `<id>.sens`; exported "folders" of `color/ depth/ pose/` in
            `frames/<id>/` or in the folder of the scan; or "25k", `scannet_frames_25k/<id>/` with
            labels (of NYU40 or SCANNET20) and instances, whose ids hold within one image. Frames
            whose pose is lost are left out; poses are aligned as the points are.
        frame_step: of a stream, every frame_step-th frame is taken.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
        ValueError: if split, label_set, frames or frame_step is none of the above.
    """

    title = "ScanNet v2"
    source = "http://www.scan-net.org, on signed terms"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | Sequence[str] = "train",
        *,
        label_set: LabelSet = SCANNET20,
        frames: FrameSource = "none",
        frame_step: int = 25,
    ) -> None:
        if label_set not in (SCANNET20, NYU40, SCANNET200):
            raise ValueError(
                f"label_set must be SCANNET20, NYU40 or SCANNET200, got {label_set.name!r}"
            )
        if frames not in get_args(FrameSource):
            raise ValueError(f"frames must be one of {get_args(FrameSource)}, got {frames!r}")
        if frames == "25k" and label_set is SCANNET200:
            raise ValueError(
                "label_set must be SCANNET20 or NYU40 with frames='25k', whose images hold NYU40 "
                "ids, got 'scannet200'"
            )
        if frame_step < 1:
            raise ValueError(f"frame_step must be at least 1, got {frame_step}")
        self.frames: FrameSource = frames
        self.frame_step = frame_step
        super().__init__(root, self._names(Path(root), split), label_set)

    @classmethod
    def _names(cls, root: Path, split: str | Sequence[str]) -> Sequence[str]:
        if not isinstance(split, str):
            return split
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS} or scene names, got {split!r}")
        path = root / f"scannetv2_{split}.txt"
        cls.require(root, [] if path.is_file() else [path])
        return read_split(path)

    def files(self, name: str) -> tuple[Path, ...]:
        """Mesh, alignment, segments, groups, label table; the stream or intrinsics of frames."""
        folder = self._folder(name)
        files = [folder / f"{name}_vh_clean_2.ply"]
        if self._is_labelled(name):
            files += [folder / f"{name}.txt", _segments_file(folder), _groups_file(folder)]
            files += [self.root / _TABLE]
        return (*files, *scannet_frame_files(self.frames, self.root, folder))

    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: naming the file that is broken, the category that the label table lacks, or
                the counts of vertices and segments that differ.
        """
        folder = self._folder(name)
        mesh_file = folder / f"{name}_vh_clean_2.ply"
        with errors_in(mesh_file):
            mesh = read_ply(mesh_file)
        alignment = _read_alignment(folder / f"{name}.txt")
        points = (mesh.points @ alignment[:3, :3].T + alignment[:3, 3]).astype(np.float32)
        annotation = self._annotation(folder, points) if self._is_labelled(name) else {}
        return Scene(
            name,
            points,
            colors=mesh.colors,
            faces=None if mesh.faces is None else mesh.faces.astype(np.int64),
            frames=self._read_frames(folder, alignment),
            label_set=self.label_set,
            **annotation,
        )

    def _folder(self, name: str) -> Path:
        folders = (self.root / "scans" / name, self.root / "scans_test" / name)
        return next((folder for folder in folders if folder.is_dir()), folders[0])

    def _is_labelled(self, name: str) -> bool:
        return self._folder(name).parent.name == "scans"

    def _read_frames(
        self, folder: Path, alignment: Float64[np.ndarray, "4 4"]
    ) -> LazyFrames | tuple[()]:
        if self.frames == "none":
            return ()
        assert self.label_set is not None
        return read_scannet_frames(
            self.frames, self.root, folder, alignment, self.label_set, step=self.frame_step
        )

    @cached_property
    def _raw_ids(self) -> dict[str, int]:
        assert self.label_set is not None
        return read_label_table(self.root / _TABLE, _COLUMNS[self.label_set.name])

    def _annotation(
        self, folder: Path, points: Float32[np.ndarray, "n 3"]
    ) -> dict[str, np.ndarray]:
        assert self.label_set is not None
        segments = _read_segments(_segments_file(folder), len(points))
        ids, superpoints = np.unique(segments, return_inverse=True)
        file = _groups_file(folder)
        groups = _read_groups(file)
        with errors_in(file):
            place = _group_of(ids, groups)[superpoints]
            raw = [_raw_id(self._raw_ids, group.category) for group in groups]
            train = np.append(self.label_set.to_train(np.array(raw, np.int64)), IGNORE_INDEX)
        labels = train[place]  # the last entry for points in no group
        is_thing = np.isin(labels, self.label_set.things)
        group_ids = np.array([*(group.id for group in groups), -1])
        instances = np.where(is_thing, group_ids[place], -1)
        return {
            "labels": labels,
            "instances": instances,
            "superpoints": superpoints.astype(np.int64),
            "boxes": _instance_boxes(points, labels, instances),
        }


def _segments_file(folder: Path) -> Path:
    return folder / f"{folder.name}_vh_clean_2.0.010000.segs.json"


def _groups_file(folder: Path) -> Path:
    files = [folder / f"{folder.name}{kind}.aggregation.json" for kind in ("", "_vh_clean")]
    return next((file for file in files if file.is_file()), files[0])


def _read_alignment(file: Path) -> Float64[np.ndarray, "4 4"]:
    """The `axisAlignment` in the file of a scan; the identity if it has none, or is missing."""
    if not file.is_file():  # of the test scans alone, which have none
        return np.eye(4)
    with errors_in(file), library_errors("scan information"):
        for line in file.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "axisAlignment":
                matrix = np.array(value.split(), np.float64).reshape(4, 4)
                if not np.isfinite(matrix).all():
                    raise ValueError(f"axisAlignment {matrix.tolist()}")
                return matrix
    return np.eye(4)


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


def _raw_id(raw_ids: dict[str, int], category: str) -> int:
    if category not in raw_ids:
        raise ValueError(f"label must be a raw_category of {_TABLE}, got {category!r}")
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
        groups = [
            _Group(int(group["id"]), str(group["label"]), _whole(group["segments"]))
            for group in content["segGroups"]
        ]
        ids = [group.id for group in groups]
        if len(set(ids)) < len(ids) or min(ids, default=0) < 0:
            raise ValueError(f"ids {ids}, not distinct and at least 0")
    return groups


def _whole(values: Any) -> Int64[np.ndarray, " s"]:
    array = np.asarray(values) if values else np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind != "i" or array.min(initial=0) < 0:
        raise ValueError(f"an array of {array.dtype} and shape {array.shape}, not of segment ids")
    return array.astype(np.int64)


def _group_of(ids: Int64[np.ndarray, " s"], groups: list[_Group]) -> Int64[np.ndarray, " s"]:
    """Group of each segment, by its place in the list; -1 for none."""
    group_of = np.full(len(ids), -1)
    for place, group in enumerate(groups):
        group_of[np.isin(ids, group.segments)] = place
    if any(len(group.segments) for group in groups) and (group_of < 0).all():
        raise ValueError("segGroups must name segments of the mesh, got none of them")
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
