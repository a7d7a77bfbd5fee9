"""ScanNet v2 in its official layout.

Files and label table: the ScanNet repository and its benchmark scripts (Dai et al., "ScanNet",
CVPR 2017). ScanNet200 takes the column `id` of the same table (Rozenberszki et al., ECCV 2022).
"""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import FileDataset, visible
from pcl_data.datasets.scannet_annotation import (
    TABLE_NAME,
    groups_file,
    read_annotation,
    read_label_table,
    segments_file,
)
from pcl_data.datasets.scannet_frames import FrameSource, read_scannet_frames, scannet_frame_files
from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import NYU40, SCANNET20, SCANNET200, LabelSet
from pcl_data.readers.ply import read_ply
from pcl_data.rigid import transform_points
from pcl_data.scene import LazyFrames, Scene
from pcl_data.splits import read_split

SPLITS = ("train", "val", "test")
_COLUMNS = {NYU40.name: "nyu40id", SCANNET20.name: "nyu40id", SCANNET200.name: "id"}


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
        split: train, val, test, names (`scene0000_00`), a place with all its scans (`scene0000`),
            or a pattern; names are looked for in `scans/` and then in `scans_test/`.
        frames: none; the stream `<id>.sens`; exported "folders" of `color/ depth/ pose/` in
            `frames/<id>/` or in the folder of the scan; or "25k", `scannet_frames_25k/<id>/` with
            labels (of NYU40 or SCANNET20) and instances, whose ids hold within one image. Frames
            whose pose is lost are left out; poses are aligned as the points are.
        frame_step: of a stream, every frame_step-th frame is taken.
        **options: as of `FileDataset`; `label_set` is SCANNET20, NYU40 or SCANNET200.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
        ValueError: if split, frames, frame_step or an option is none of the above.
    """

    title = "ScanNet v2"
    source = "http://www.scan-net.org, on signed terms"
    splits = SPLITS
    label_sets = (SCANNET20, NYU40, SCANNET200)
    name_form = r"scene\d{4}_\d{2}"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | Sequence[str] = "train",
        *,
        frames: FrameSource = "none",
        frame_step: int = 25,
        **options: Any,
    ) -> None:
        if frames not in get_args(FrameSource):
            raise ValueError(f"frames must be one of {get_args(FrameSource)}, got {frames!r}")
        if frames == "25k" and options.get("label_set") is SCANNET200:
            raise ValueError(
                "label_set must be SCANNET20 or NYU40 with frames='25k', whose images hold NYU40 "
                "ids, got 'scannet200'"
            )
        if frame_step < 1:
            raise ValueError(f"frame_step must be at least 1, got {frame_step}")
        self.frames: FrameSource = frames
        self.frame_step = frame_step
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Scans of an official list."""
        path = self.root / f"scannetv2_{split}.txt"
        self.require(self.root, [path])
        return read_split(path)

    def every_name(self) -> Sequence[str]:
        """Scans that are there."""
        folders = (self.root / "scans", self.root / "scans_test")
        return [scan.name for folder in folders for scan in visible(folder, "*/")]

    def group_of(self, name: str) -> str:
        """The place, which has several scans: `scene0000`."""
        return name.rpartition("_")[0]

    def files(self, name: str) -> tuple[Path, ...]:
        """Mesh, alignment, segments, groups, label table; the stream or intrinsics of frames."""
        folder = self._folder(name)
        files = [folder / f"{name}_vh_clean_2.ply"]
        if folder.parent.name == "scans":
            files.append(folder / f"{name}.txt")
        if self._is_labeled(name):
            files += [segments_file(folder), groups_file(folder), self.root / TABLE_NAME]
        return (*files, *scannet_frame_files(self.frames, self.root, folder))

    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: naming the file that is broken, the category that the label table lacks, or
                the counts of vertices and segments that differ.
        """
        assert self.label_set is not None
        folder = self._folder(name)
        mesh_file = folder / f"{name}_vh_clean_2.ply"
        with errors_in(mesh_file):
            mesh = read_ply(mesh_file)
        alignment = _read_alignment(folder / f"{name}.txt")
        points = transform_points(alignment, mesh.points).astype(np.float32)
        annotation = {}
        if self._is_labeled(name):
            annotation = read_annotation(folder, points, self._raw_ids, self.label_set)
        frames = self._read_frames(folder, alignment, self.label_set)
        with errors_in(mesh_file):
            return Scene(
                name,
                points,
                colors=mesh.colors,
                faces=None if mesh.faces is None else mesh.faces.astype(np.int64),
                frames=frames,
                label_set=self.label_set,
                **annotation,
            )

    def _folder(self, name: str) -> Path:
        folders = (self.root / "scans" / name, self.root / "scans_test" / name)
        return next((folder for folder in folders if folder.is_dir()), folders[0])

    def _is_labeled(self, name: str) -> bool:
        return self.has_labels and self._folder(name).parent.name == "scans"

    def _read_frames(
        self, folder: Path, alignment: Float64[np.ndarray, "4 4"], label_set: LabelSet
    ) -> LazyFrames | tuple[()]:
        if self.frames == "none":
            return ()
        return read_scannet_frames(
            self.frames, self.root, folder, alignment, label_set, step=self.frame_step
        )

    @cached_property
    def _raw_ids(self) -> dict[str, int]:
        assert self.label_set is not None
        return read_label_table(self.root / TABLE_NAME, _COLUMNS[self.label_set.name])


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
