"""A folder of scans as a sequence of scenes."""

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from pcl_data.label_set import LabelSet
from pcl_data.readers import READERS, is_readable, read_scene
from pcl_data.readers.scene_reader import LabelIds, is_scene_folder
from pcl_data.scene import Scene


class SceneFolder(Sequence[Scene]):
    """The scans of a folder, sorted by name; each is read when it is asked for.

    Scans are files of any readable format and folders of `save_scene`, in the folder itself and in
    its sub-folders, one level down. The name of a scan is its file name without suffix. Names that
    begin with a dot are passed over.

    Args:
        root: folder of scans, or a single scan.
        label_set: meaning of the labels.
        label_ids: what the ids in the files are, as in `read_scene`.
        pattern: file names to take, as in a shell: `*_vh_clean_2.ply`.
        max_extent: largest width, depth or height of a scan that is believed, metres; None takes
            any. Millimetres mistaken for metres are found with it.

    Raises:
        FileNotFoundError: if `root` does not exist.
        ValueError: if there is nothing to read, or two scans have the same name; on reading, as
            `read_scene`, or if the scan is larger than `max_extent`.

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
        label_ids: LabelIds = "train",
        pattern: str = "*",
        max_extent: float | None = None,
    ) -> None:
        if max_extent is not None and not max_extent > 0:
            raise ValueError(f"max_extent must be positive, got {max_extent}")
        self.label_set = label_set
        self.label_ids: LabelIds = label_ids
        self.max_extent = max_extent
        self._paths = _scans(Path(root), pattern)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each scan, ascending."""
        return tuple(self._paths)

    def path(self, name: str) -> Path:
        """Where the scan of this name is.

        Raises:
            KeyError: if there is none.
        """
        return self._paths[name]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        path = self._paths[self.names[index]]
        scene = read_scene(path, label_set=self.label_set, label_ids=self.label_ids)
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
    folders = [root, *_children(root)] if root.is_dir() else []
    found: dict[str, Path] = {}
    for folder in folders:
        for path in _children(folder) if not is_scene_folder(folder) else []:
            if not (fnmatch(path.name, pattern) and is_readable(path)):
                continue
            first = found.setdefault(_name(path), path)
            if first != path:
                raise ValueError(f"root must have one scan of a name, got {first} and {path}")
    if not found:
        raise ValueError(
            f"root must hold scans ({' '.join(READERS)} or scene folders) that match {pattern!r}, "
            f"got {root}"
        )
    return dict(sorted(found.items()))


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
