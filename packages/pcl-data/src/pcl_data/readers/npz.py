"""Scans in `.npz` archives of named arrays, never pickles."""

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.npy import read_array, read_header
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.readers.size_bounds import check_unpacked, file_size

# Names of (n, 3) arrays; the first that is there counts.
_TRIPLES = {
    ("x", "y", "z"): ("coord", "points", "xyz"),
    ("red", "green", "blue"): ("color", "colors", "rgb"),
    ("nx", "ny", "nz"): ("normal", "normals"),
}
_AXES = {role: axis for roles in _TRIPLES for axis, role in enumerate(roles)}
_RAW_LABELS = "nyu40"
_NUMBER_BYTES = 8  # of a number in memory, whatever it has in the file


def read_npz(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """The scan of an archive.

    Its arrays are coord | points | xyz, color | colors | rgb, normal | normals, of shape (n, 3);
    nyu40 (raw ids); and arrays of shape (n,) or (n, 1) with names that `roles_of` understands. Of
    an (n, 3) array that `columns` names, each role takes its axis.

    Raises:
        ValueError: if the file is no complete archive, has no points, or would unpack to more than
            `check_unpacked` lets pass.
    """
    with library_errors("NPZ"), zipfile.ZipFile(path) as archive:
        arrays = _Columns(archive)
        scan = scan_from_columns(arrays, arrays.given(columns))
        is_raw = _RAW_LABELS in arrays.shapes and "label" not in (columns or {})
        if is_raw:
            scan = replace(scan, labels=arrays[_RAW_LABELS])
        return replace(scan, labels_are_raw=is_raw, unread=arrays.unread(scan.unread))


def npz_columns(path: Path) -> tuple[str, ...]:
    """Names of the arrays of the archive, those with known names by role; none is read."""
    with library_errors("NPZ"), zipfile.ZipFile(path) as archive:
        arrays = _Columns(archive)
        known = [name for name in arrays if name in _AXES]
        others = arrays.unread([name for name in arrays if name not in _AXES])
        return *known, *others


class _Columns(Mapping[str, np.ndarray]):
    """The columns of an open archive, each read when it is asked for.

    Those of an (n, 3) array with a known name are called by their role, those of another array of
    several columns `name.0`, `name.1`, ...
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {
            Path(info.filename).stem: info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        self.shapes = {stem: _shape(archive, info) for stem, info in self._members.items()}
        self._read: dict[str, np.ndarray] = {}
        self._n_bytes = 0
        self._places: dict[str, tuple[str, int | None]] = {}
        for stem, shape in self.shapes.items():
            if len(shape) == 2 and shape[1] > 1:
                self._places |= {
                    f"{stem}.{axis}": (stem, axis) for axis in range(min(shape[1], 16))
                }
            else:
                self._places[stem] = stem, None
        for roles, stems in _TRIPLES.items():
            stem = next((stem for stem in stems if stem in self.shapes), None)
            if stem is not None:
                for axis, role in enumerate(roles):
                    self._places.pop(f"{stem}.{axis}", None)
                    self._places[role] = stem, axis

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __getitem__(self, name: str) -> np.ndarray:
        stem, axis = self._places[name]
        if stem not in self._read:
            self._read[stem] = self._array(stem)
        array = self._read[stem]
        if axis is None:
            return array[:, 0] if array.shape[1:] == (1,) else array
        if name in _AXES and array.shape[1:] != (3,):
            raise ValueError(f"{stem} must have shape (n, 3), got {array.shape}")
        return array[:, axis]

    def given(self, columns: Mapping[str, str] | None) -> dict[str, str]:
        """Columns of roles, where a role of an (n, 3) array takes its axis."""
        return {
            role: f"{name}.{_AXES[role]}" if role in _AXES and f"{name}.0" in self._places else name
            for role, name in (columns or {}).items()
        }

    def unread(self, names: Sequence[str]) -> tuple[str, ...]:
        """Arrays that columns which are not read are of."""
        stems = dict.fromkeys(self._places[name][0] for name in names)
        return tuple(stem for stem in stems if stem != _RAW_LABELS)

    def _array(self, stem: str) -> np.ndarray:
        info = self._members[stem]
        self._n_bytes += max(math.prod(self.shapes[stem]) * _NUMBER_BYTES, info.file_size)
        check_unpacked(self._n_bytes, _archive_size(self._archive), f"arrays up to {stem}")
        with self._archive.open(info) as stream:
            return read_array(stream, info.file_size)  # pyrefly: ignore


def read_members(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> list[np.ndarray]:
    """The arrays of some members of an open archive.

    Raises:
        ValueError: if they would unpack to more than `check_unpacked` lets pass, or one is no
            array.
    """
    size = sum(info.file_size for info in members)
    check_unpacked(size, _archive_size(archive), "arrays")
    arrays = []
    for info in members:
        with archive.open(info) as stream:
            arrays.append(read_array(stream, info.file_size))  # pyrefly: ignore
    return arrays


def _shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    """Shape of an array of numbers; () of anything else, which is an error only if it is read."""
    try:
        with archive.open(info) as stream:
            return read_header(stream)[0]  # pyrefly: ignore
    except ValueError:
        return ()


def _archive_size(archive: zipfile.ZipFile) -> int:
    return file_size(Path(str(archive.filename)))
