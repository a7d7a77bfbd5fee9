"""A folder of scans as a sequence of scenes."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from pcl_data.dataset import Dataset, check_extent, check_max_extent
from pcl_data.datasets.dataset_yaml import FILE_NAME, read_dataset_yaml
from pcl_data.datasets.file_dataset import Missing
from pcl_data.datasets.scan_listing import list_scans
from pcl_data.datasets.selection import chosen_names, few
from pcl_data.file_errors import NeedsOption, errors_in
from pcl_data.label_set import LabelSet
from pcl_data.readers import read_scene, unread_columns
from pcl_data.readers.scene_reader import LabelIds
from pcl_data.scene import Scene


class SceneFolder(Dataset):
    """The scans of a folder, sorted by name; each is read when it is asked for.

    Scans are files of any readable format and folders of `save_scene` or of Pointcept, in the
    folder itself and in its sub-folders, one level down. The name of a scan is its file name
    without suffix; if two sub-folders have the same one (the rooms of Pointcept's S3DIS), the
    scans of all sub-folders are called `<sub-folder>_<name>`. What is no scan is passed over, with
    a warning that names it (`scan_listing`).

    A file `dataset.yaml` in the folder gives the meaning of the labels and splits; its form is
    described in `pcl_data.datasets.dataset_yaml`.

    Args:
        root: folder of scans, or a single scan.
        label_set: meaning of the labels; None takes that of `dataset.yaml`, if it is there.
        label_ids: what the ids in the files are, as in `read_scene`; None takes those of
            `dataset.yaml`, if its label set is taken, and otherwise train ids.
        pattern: file names, or names of scans, to take, as in a shell: `*_vh_clean_2.ply`.
        max_extent: largest width, depth or height of a scan that is believed, metres; None takes
            any. Millimetres mistaken for metres are found with it.
        split: a split of `dataset.yaml`, a sub-folder, a scan, a pattern of scans, or several of
            these; None takes all scans, sorted.
        drop_invalid: leave out points with a NaN or infinite coordinate, as in `read_scene`.
        missing: "skip" leaves out scans that `dataset.yaml` lists and that are not there, with a
            warning that counts them.
        columns: name in the files of the column of a role, as in `read_scene`, before those of
            `dataset.yaml`.

    Raises:
        FileNotFoundError: if `root` does not exist.
        ValueError: if there is nothing to read, two scans have the same name, `dataset.yaml` is
            broken, or the split or one of its scans is not there; on reading, as `read_scene`, or
            if the scan is larger than `max_extent`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> root = Path(tempfile.mkdtemp())
        >>> _ = (root / "kitchen.xyz").write_text("0 0 0\\n1 2 3\\n")
        >>> folder = SceneFolder(root, max_extent=100.0)
        >>> folder.names, len(folder[0].points)
        (('kitchen',), 2)
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        label_set: LabelSet | None = None,
        label_ids: LabelIds | None = None,
        pattern: str = "*",
        max_extent: float | None = None,
        split: str | Sequence[str] | None = None,
        drop_invalid: bool = False,
        missing: Missing = "error",
        columns: Mapping[str, str] | None = None,
    ) -> None:
        check_max_extent(max_extent)
        self._file = Path(root) / FILE_NAME
        description = read_dataset_yaml(self._file) if self._file.is_file() else None
        self._splits = {} if description is None else description.splits
        if label_set is None and description is not None:
            label_set, label_ids = description.label_set, label_ids or description.label_ids
        self.label_set = label_set
        self.label_ids: LabelIds = label_ids or "train"
        self.max_extent = max_extent
        self.drop_invalid = drop_invalid
        self.missing: Missing = missing
        self.columns = ({} if description is None else description.columns) | dict(columns or {})
        self._paths = list_scans(Path(root), pattern)
        self.names = tuple(self._paths) if split is None else self._chosen(split)

    def path(self, name: str) -> Path:
        """Where the scan of this name is.

        Raises:
            KeyError: if there is none.
        """
        return self._paths[name]

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        path = self._paths[self.names[index]]
        scene = read_scene(
            path,
            label_set=self.label_set,
            label_ids=self.label_ids,
            drop_invalid=self.drop_invalid,
            columns=self.columns or None,
        )
        name = self.names[index]
        check_extent(str(path), scene, self.max_extent)
        return scene if scene.name == name else replace(scene, name=name)

    def unread_columns(self, name: str) -> tuple[str, ...]:
        """Columns in the file of a scan that are not understood."""
        used = self.columns.values()
        return tuple(column for column in unread_columns(self._paths[name]) if column not in used)

    def _chosen(self, split: str | Sequence[str]) -> tuple[str, ...]:
        with errors_in(self._file if self._splits else self._file.parent):
            return chosen_names(
                split,
                splits=tuple(self._splits),
                names_of=self._split_names,
                every=lambda: tuple(self._paths),
                group_of=self._group_of,
            )

    def _group_of(self, name: str) -> str:
        folder = self._paths[name].parent
        return "" if folder == self._file.parent else folder.name

    def _split_names(self, split: str) -> Sequence[str]:
        """Scans of a split of `dataset.yaml`, by name or pattern."""
        found: dict[str, None] = {}
        absent = []
        for word in self._splits[split]:
            names = [name for name in self._paths if name == word or fnmatchcase(name, word)]
            found |= dict.fromkeys(names)
            absent += [] if names else [word]
        listed = f"{len(absent):,} of {len(self._splits[split]):,} scans of the split {split!r}"
        if not found:
            raise ValueError(f"split {split!r} must list scans that are there, got {few(absent)}")
        if absent and self.missing == "error":
            problem = f"{listed} must be there, got no {few(absent)}"
            raise NeedsOption(problem, "missing=skip", "leaves those out")
        if absent:
            warnings.warn(f"{self._file}: left out {listed}: {few(absent)} missing", stacklevel=2)
        return tuple(found)
