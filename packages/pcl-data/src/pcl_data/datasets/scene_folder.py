"""A folder of scans as a sequence of scenes."""

import os
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from pcl_data.dataset import Dataset
from pcl_data.datasets.dataset_yaml import FILE_NAME, DatasetDescription, read_dataset_yaml
from pcl_data.label_set import LabelSet
from pcl_data.readers import READERS, is_readable, read_scene
from pcl_data.readers.scene_reader import LabelIds, is_scene_folder
from pcl_data.scene import Scene


class SceneFolder(Dataset):
    """The scans of a folder, sorted by name; each is read when it is asked for.

    Scans are files of any readable format and folders of `save_scene` or of Pointcept, in the
    folder itself and in its sub-folders, one level down. The name of a scan is its file name
    without suffix; if two sub-folders have the same one (the rooms of Pointcept's S3DIS), the
    scans of all sub-folders are called `<sub-folder>_<name>`. Names that begin with a dot are
    passed over.

    A file `dataset.yaml` in the folder gives the meaning of the labels and splits; its form is
    described in `pcl_data.datasets.dataset_yaml`.

    Args:
        root: folder of scans, or a single scan.
        label_set: meaning of the labels; None takes that of `dataset.yaml`, if it is there.
        label_ids: what the ids in the files are, as in `read_scene`; None takes those of
            `dataset.yaml`, if its label set is taken, and otherwise train ids.
        pattern: file names to take, as in a shell: `*_vh_clean_2.ply`.
        max_extent: largest width, depth or height of a scan that is believed, metres; None takes
            any. Millimetres mistaken for metres are found with it.
        split: a split of `dataset.yaml`, or scan names; None takes all scans, sorted.
        drop_invalid: leave out points with a NaN or infinite coordinate, as in `read_scene`.

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
    ) -> None:
        if max_extent is not None and not max_extent > 0:
            raise ValueError(f"max_extent must be positive, got {max_extent}")
        root = Path(root)
        file = root / FILE_NAME
        description = read_dataset_yaml(file) if file.is_file() else None
        if label_set is None and description is not None:
            label_set, label_ids = description.label_set, label_ids or description.label_ids
        self.label_set = label_set
        self.label_ids: LabelIds = label_ids or "train"
        self.max_extent = max_extent
        self.drop_invalid = drop_invalid
        paths = _scans(root, pattern)
        self._paths = {name: paths[name] for name in _chosen(paths, split, description, file)}
        self.names = tuple(self._paths)

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
        )
        name = self.names[index]
        scene = scene if scene.name == name else replace(scene, name=name)
        extent = float(np.ptp(scene.points, axis=0).max())
        if self.max_extent is not None and extent > self.max_extent:
            raise ValueError(
                f"{path} spans {extent:g} m, more than max_extent={self.max_extent:g} m: "
                "are the units metres?"
            )
        return scene


def _scans(root: Path, pattern: str) -> dict[str, Path]:
    """Path of each scan by name, ascending."""
    if not root.exists():
        raise FileNotFoundError(f"root must exist, got {root}")
    if is_readable(root):
        return {_name(root): root}
    below = _children(root) if root.is_dir() else []
    paths = [path for path in below if _is_scan(path, pattern)]
    deeper = [
        path
        for folder in below
        if folder.is_dir() and not is_scene_folder(folder)
        for path in _children(folder)
        if _is_scan(path, pattern)
    ]
    if not paths and not deeper:
        raise ValueError(
            f"root must hold scans ({' '.join(READERS)} or scene folders) that match {pattern!r}, "
            f"got {root}"
        )
    folders_of = {(_name(path), path.parent) for path in deeper}
    is_repeated = len({name for name, _ in folders_of}) < len(folders_of)
    found: dict[str, Path] = {}
    for path in [*paths, *deeper]:
        prefix = f"{path.parent.name}_" if is_repeated and path.parent != root else ""
        first = found.setdefault(prefix + _name(path), path)
        if first != path:
            raise ValueError(f"root must have one scan of a name, got {first} and {path}")
    return dict(sorted(found.items()))


def _is_scan(path: Path, pattern: str) -> bool:
    return fnmatch(path.name, pattern) and is_readable(path)


def _chosen(
    paths: dict[str, Path],
    split: str | Sequence[str] | None,
    description: DatasetDescription | None,
    file: Path,
) -> Sequence[str]:
    """Names of the scans of the split."""
    if split is None:
        return tuple(paths)
    if isinstance(split, str):
        splits = {} if description is None else description.splits
        if split not in splits:
            raise ValueError(f"split must be one of {list(splits)} in {file}, got {split!r}")
        split = splits[split]
    unknown = [name for name in split if name not in paths]
    if unknown or not split or len(set(split)) < len(split):
        raise ValueError(
            f"split must hold names of scans, each once, got {unknown[:10] or list(split)[:10]}"
        )
    return split


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
