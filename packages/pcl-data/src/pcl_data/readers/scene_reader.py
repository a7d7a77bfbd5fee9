"""Any scan, whatever its format, as a `Scene`.

Broken and hostile files give one `ValueError` that names the file and the rule: sizes that a
header claims are compared with the size of the file before memory is asked for, and nothing is
ever unpickled.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from pcl_data.file_errors import errors_in, warn_about
from pcl_data.label_set import LabelSet
from pcl_data.raw_scan import LabelIds, RawScan, scene_of_scan
from pcl_data.readers.las import las_columns, read_las
from pcl_data.readers.npy import npy_columns, read_npy
from pcl_data.readers.npz import npz_columns, read_npz
from pcl_data.readers.pcd import pcd_columns, read_pcd
from pcl_data.readers.ply import ply_columns, read_ply
from pcl_data.readers.scan_columns import CLASS_CODE, guessed_role, roles_of, unread_names
from pcl_data.readers.text import read_text, text_columns
from pcl_data.scene import Scene
from pcl_data.scene_store import load_scene, unread_arrays

# Reader of each file suffix.
READERS: dict[str, Callable[[Path, Mapping[str, str] | None], RawScan]] = {
    ".ply": read_ply,
    ".pcd": read_pcd,
    ".npz": read_npz,
    ".npy": read_npy,
    **dict.fromkeys((".txt", ".xyz", ".csv", ".pts"), read_text),
    **dict.fromkeys((".las", ".laz"), read_las),
}
_COLUMNS: dict[Callable[..., RawScan], Callable[[Path], tuple[str, ...]]] = {
    read_ply: ply_columns,
    read_pcd: pcd_columns,
    read_npz: npz_columns,
    read_npy: npy_columns,
    read_text: text_columns,
    read_las: las_columns,
}


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
    columns: Mapping[str, str] | None = None,
) -> Scene:
    """The scan in a file or scene folder, in the conventions of `Scene`.

    The same rules hold for every format; each is described where it is: `far_origin`,
    `eight_bit_colors`, `unit_intensity`, `known_normals`, `whole_ids`.

    - Coordinates beyond 1024 m (georeferenced scans) are moved by the whole metres of
      `Scene.origin`, near the bulk of the points, before they become float32.
    - Raw labels go through `label_set.to_train`; then instance 0 becomes -1. The array `nyu40` of
      an `.npz` always holds raw labels. The classification of LAS is used with `label_ids="raw"`
      only. With a label set, the instances of stuff and of unlabeled points become -1.
    - Columns that are not understood are listed in a warning, with the role that they may have.

    Args:
        path: PLY, PCD, NPZ, NPY, TXT, XYZ, CSV, PTS, LAS or LAZ file, or a folder of `save_scene`.
        label_set: meaning of the labels.
        label_ids: what the ids in the file are; with "train" -1 is unlabeled and no instance;
            with "none" labels and instances are left out, whatever they hold.
        drop_invalid: leave out points with a NaN or infinite coordinate, and their faces.
            `Scene.valid_rows` then tells the rows of the file that are left.
        columns: name in the file of the column of a role (x y z red green blue nx ny nz intensity
            label instance superpoint), or its place from 1 if columns have no names; roles that are
            not given are found by name. Scene folders have none.

    Returns:
        A scene named after the file, without suffix, or after the folder.

    Raises:
        FileNotFoundError: if there is no such path.
        ImportError: naming the extra `las`, if the file needs it.
        NeedsOption: if a coordinate is not finite, without `drop_invalid`.
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
        scene = load_scene(path, label_set, label_ids=label_ids, drop_invalid=drop_invalid)
        _tell_unread(path, unread_arrays(path))
        return scene if scene.name == path.name else replace(scene, name=path.name)
    with errors_in(path):
        scan = _reader(path)(path, columns)
        scene = scene_of_scan(
            scan,
            path.stem,
            path,
            label_set=label_set,
            label_ids=label_ids,
            drop_invalid=drop_invalid,
        )
    _tell_unread(path, [name for name in scan.unread if not _is_settled(name, scan, label_ids)])
    return scene


def unread_columns(
    path: str | os.PathLike[str], columns: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Names of the columns or arrays of a scan that `read_scene` does not understand.

    Only the header is read.

    Args:
        path: of the scan.
        columns: column of a role, as in `read_scene`.

    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: naming the file, if its header is broken.
    """
    path = Path(path)
    if is_scene_folder(path):
        return unread_arrays(path)
    with errors_in(path):
        names = _COLUMNS[_reader(path)](path)
        return unread_names(names, roles_of(names, columns)) if names else ()


def _reader(path: Path) -> Callable[[Path, Mapping[str, str] | None], RawScan]:
    if path.suffix.lower() not in READERS or path.is_dir():
        raise ValueError(f"must be a scene folder or {' '.join(READERS)} file")
    return READERS[path.suffix.lower()]


def _is_settled(name: str, scan: RawScan, label_ids: LabelIds) -> bool:
    """Whether the class codes of a format are used, not wanted, or none."""
    if scan.class_codes is None or not name.lower().endswith(CLASS_CODE):
        return False
    return label_ids != "train" or len(np.unique(scan.class_codes)) < 2


def _tell_unread(path: Path, names: Sequence[str]) -> None:
    if not names:
        return
    guesses = {name: guessed_role(name) for name in names}
    text = ", ".join(f"{name}: {role}?" if role else name for name, role in guesses.items())
    name, role = next((pair for pair in guesses.items() if pair[1]), (names[0], "label"))
    way_out = f"columns={{{role}: {name}}} reads one"
    warn_about(path, f"columns that are not understood: {text}; {way_out}")
