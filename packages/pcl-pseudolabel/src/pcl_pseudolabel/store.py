"""Pseudo-labels of a round on disk, one file a scene.

A file is written whole or not at all, and says what it was made from, so a run killed at any
instant finds on return exactly the scenes it had finished, and never another round's.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pcl_pseudolabel.provenance import Provenance

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)
_DISK_TYPES = {
    "labels": np.int16,
    "proposals": np.int32,
    "centers": np.float32,
    "scores": np.float32,
    "proposal_labels": np.int16,
}


@dataclass(frozen=True)
class PseudoLabelRecord:
    """Pseudo-labels of the n points of a scene and of the m proposals behind them.

    Proposals that were not trusted may keep their row; no point refers to it then. Centres are
    kept in place of offsets, so a scene can be augmented afterwards.

    Raises:
        ValueError: if an array has the wrong shape, a proposal is not in [-1, m), or a label is
            not in [-1, 32767].

    Example:
        >>> import numpy as np
        >>> record = PseudoLabelRecord(
        ...     labels=np.array([4, 4, -1]),
        ...     proposals=np.array([0, 0, -1]),
        ...     centers=np.array([[1.0, 0.0, 0.0]], dtype=np.float32),
        ...     scores=np.array([0.9], dtype=np.float32),
        ...     proposal_labels=np.array([4]),
        ... )
        >>> record.centroid_offsets(np.array([[0.0, 0, 0], [2, 0, 0], [7, 7, 7]]))
        array([[ 1.,  0.,  0.],
               [-1.,  0.,  0.],
               [ 0.,  0.,  0.]])
    """

    labels: NDArray[np.integer]
    """(n,) train ids, -1 none."""
    proposals: NDArray[np.integer]
    """(n,) trusted proposal of each point, -1 none."""
    centers: NDArray[np.floating]
    """(m, 3) centre of each proposal, metres, scene coordinates without augmentation."""
    scores: NDArray[np.floating]
    """(m,) certainty of each proposal."""
    proposal_labels: NDArray[np.integer]
    """(m,) class of each proposal."""

    def __post_init__(self) -> None:
        n, m = len(self.labels), len(self.scores)
        shapes = {"labels": (n,), "proposals": (n,), "centers": (m, 3)}
        for name, shape in (shapes | {"scores": (m,), "proposal_labels": (m,)}).items():
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"{name} must have shape {shape}, got {got}")
        _check_bounds("proposals", self.proposals, m)
        _check_bounds("labels", self.labels, 2**15)
        _check_bounds("proposal_labels", self.proposal_labels, 2**15)

    def centroid_offsets(
        self, points: NDArray[np.floating], centers: NDArray[np.floating] | None = None
    ) -> NDArray[np.floating]:
        """Centre minus point, zero where there is no proposal; Eq. 8 of TWIST.

        Args:
            points: (n, 3) metres, augmented or not.
            centers: (m, 3) the centres under the same augmentation; the stored ones by default.

        Raises:
            ValueError: if points do not belong to this scene.
        """
        if points.shape != (len(self.labels), 3):
            raise ValueError(f"points must have shape ({len(self.labels)}, 3), got {points.shape}")
        centers = self.centers if centers is None else centers
        offsets = np.zeros_like(points)
        inside = self.proposals >= 0
        offsets[inside] = centers[self.proposals[inside]] - points[inside]
        return offsets


@dataclass(frozen=True)
class StoreSummary:
    """Totals over the scenes of a store."""

    scenes: int
    points: int
    labelled_points: int
    """Points with a pseudo-label."""
    proposals: int
    """Trusted proposals, those that hold points."""
    mean_score: float
    """Mean certainty of the trusted proposals; NaN without one."""


class PseudoLabelStore:
    """A folder of records with one provenance.

    Args:
        root: the folder; made when the first record is saved.
        provenance: what the records are made from.

    Example:
        >>> import numpy as np, tempfile
        >>> none = np.zeros(0, dtype=np.int64)
        >>> record = PseudoLabelRecord(none, none, np.zeros((0, 3)), np.zeros(0), none)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = PseudoLabelStore(folder, Provenance("9f2c", "01ab", round=1))
        ...     store.save("scene0000_00", record)
        ...     store.names, "scene0000_00" in store, "scene0001_00" in store
        (['scene0000_00'], True, False)
    """

    def __init__(self, root: str | Path, provenance: Provenance) -> None:
        self.root, self.provenance = Path(root), provenance

    @classmethod
    def open(cls, root: str | Path) -> "PseudoLabelStore":
        """The store in a folder, with the provenance its first file names.

        Raises:
            FileNotFoundError: if the folder holds no record.
            ValueError: if the file is not a record.
        """
        paths = sorted(Path(root).rglob("*.npz"))
        if not paths:
            raise FileNotFoundError(f"root must hold pseudo-labels, got {root}")
        return cls(root, _read(paths[0])[0])

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    @property
    def names(self) -> list[str]:
        """Scenes that have a record, sorted."""
        paths = self.root.rglob("*.npz")
        return sorted(path.relative_to(self.root).with_suffix("").as_posix() for path in paths)

    def save(self, name: str, record: PseudoLabelRecord) -> None:
        """Write a record, whole or not at all, over one of the same name.

        Args:
            name: scene name; "Area_1/office_1" makes a folder.
            record: what to write; labels as int16, reals as float32.

        Raises:
            ValueError: if the name would leave the folder.
        """
        arrays = {key: getattr(record, key).astype(kind) for key, kind in _DISK_TYPES.items()}
        with _written_whole(self._path(name)) as file:
            np.savez_compressed(file, provenance=json.dumps(asdict(self.provenance)), **arrays)

    def load(self, name: str) -> PseudoLabelRecord:
        """The record of a scene.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if the name would leave the folder, the file is damaged or foreign, or it
                was made from something else than this store's provenance.
        """
        provenance, record = _read(self._path(name))
        if provenance != self.provenance:
            raise ValueError(f"{name} must come from {self.provenance}, got {provenance}")
        return record

    def summary(self) -> StoreSummary:
        """Totals over all records; reads each once."""
        records = [self.load(name) for name in self.names]
        trusted = [record.scores[_trusted(record.proposals)] for record in records]
        scores = np.concatenate([*trusted, np.zeros(0)])
        return StoreSummary(
            scenes=len(records),
            points=sum(len(record.labels) for record in records),
            labelled_points=sum(int((record.labels >= 0).sum()) for record in records),
            proposals=len(scores),
            mean_score=float(scores.mean()) if len(scores) else float("nan"),
        )

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if "\\" in name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"name must be a path below the store's folder, got {name!r}")
        return self.root.joinpath(*parts[:-1], f"{parts[-1]}.npz")


def _trusted(proposals: NDArray[np.integer]) -> NDArray[np.integer]:
    return np.unique(proposals[proposals >= 0])


def _read(path: Path) -> tuple[Provenance, PseudoLabelRecord]:
    try:
        with np.load(path, allow_pickle=False) as file:
            provenance = Provenance(**json.loads(str(file["provenance"])))
            arrays = {key: file[key] for key in _DISK_TYPES}
        arrays["labels"] = arrays["labels"].astype(np.int64)
        arrays["proposal_labels"] = arrays["proposal_labels"].astype(np.int64)
        return provenance, PseudoLabelRecord(**arrays)
    except FileNotFoundError:
        raise
    except (*_DAMAGE, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must be a whole pseudo-label file, got: {error}") from error


@contextmanager
def _written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_bounds(name: str, values: NDArray[np.integer], bound: int) -> None:
    if len(values) and not (values.min() >= -1 and values.max() < bound):
        low, high = values.min(), values.max()
        raise ValueError(f"{name} must lie in [-1, {bound}), got [{low}, {high}]")
