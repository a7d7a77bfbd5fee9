"""Scans in `.npz` archives of named arrays, never pickles."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.readers.npy import read_array
from pcl_data.readers.raw_scan import MAX_ARRAY_BYTES, RawScan

# Names of each array; the first that is there counts.
_KEYS = {
    "points": ("coord", "points", "xyz"),
    "colors": ("color", "colors", "rgb"),
    "normals": ("normal", "normals"),
    "labels": ("nyu40", "segment", "labels", "label", "semantic"),
    "instances": ("instance", "instances"),
    "superpoints": ("superpoint", "superpoints"),
}
_IDS = ("labels", "instances", "superpoints")


def read_npz(path: Path) -> RawScan:
    """The scan of an archive.

    Its arrays are coord | points | xyz, color | colors | rgb, normal | normals, instance |
    instances, superpoint | superpoints, and nyu40 (raw ids) | segment | labels | label | semantic.
    Ids of shape (n, 1) become (n,). Other arrays are left unread.

    Raises:
        ValueError: if the file is no complete archive, has no points, or would unpack to more than
            `MAX_ARRAY_BYTES`.
    """
    with library_errors("NPZ"), zipfile.ZipFile(path) as archive:
        members = {Path(info.filename).stem: info for info in archive.infolist()}
        wanted = {
            field: members[key]
            for field, keys in _KEYS.items()
            if (key := next((key for key in keys if key in members), None))
        }
        if "points" not in wanted:
            raise ValueError(f"no array {' or '.join(_KEYS['points'])} among {sorted(members)}")
        read = read_members(archive, list(wanted.values()))
    arrays = {field: _column(field, a) for field, a in zip(wanted, read, strict=True)}
    return RawScan(**arrays, labels_are_raw="nyu40" in members)


def read_members(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> list[np.ndarray]:
    """The arrays of some members of an open archive.

    Raises:
        ValueError: if they would unpack to more than `MAX_ARRAY_BYTES`, or one is no array.
    """
    size = sum(info.file_size for info in members)
    if size > MAX_ARRAY_BYTES:
        raise ValueError(f"{size} bytes unpacked, more than {MAX_ARRAY_BYTES}")
    return [read_array(io.BytesIO(archive.read(info)), info.file_size) for info in members]


def _column(field: str, array: np.ndarray) -> np.ndarray:
    return array[:, 0] if field in _IDS and array.shape[1:] == (1,) else array
