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
import torch

from pcl_pseudolabel.provenance import Provenance
from pcl_pseudolabel.pseudo_labels import PseudoLabels

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)
_DISK_TYPES = {
    "labels": np.int16,
    "proposals": np.int32,
    "centers": np.float32,
    "scores": np.float32,
    "proposal_labels": np.int16,
}
_TYPES = {"i": np.int64, "f": np.float32}  # in memory, by the kind of the type on disk


@dataclass(frozen=True)
class StoreSummary:
    """Totals over the scenes of a store."""

    scenes: int
    points: int
    labeled_points: int
    """Points with a pseudo-label."""
    proposals: int
    """Trusted proposals, those that hold points."""
    mean_score: float
    """Mean certainty of the trusted proposals; NaN without one."""


class PseudoLabelStore:
    """A folder of pseudo-labels with one provenance, a file a scene.

    Args:
        root: the folder; made when the first scene is saved.
        provenance: what the pseudo-labels are made from.

    Example:
        >>> import tempfile, torch
        >>> none = torch.zeros(0, dtype=torch.int64)
        >>> pseudo = PseudoLabels(none, none, torch.zeros(0, 3), torch.zeros(0), none)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = PseudoLabelStore(folder, Provenance("9f2c", "01ab", round=1))
        ...     store.save("scene0000_00", pseudo)
        ...     store.names, "scene0000_00" in store, "scene0001_00" in store
        (['scene0000_00'], True, False)
    """

    def __init__(self, root: str | Path, provenance: Provenance) -> None:
        self.root, self.provenance = Path(root), provenance

    @classmethod
    def open(cls, root: str | Path) -> "PseudoLabelStore":
        """The store in a folder, with the provenance its first file names.

        Raises:
            FileNotFoundError: if the folder holds no pseudo-labels.
            ValueError: if the file holds none.
        """
        paths = sorted(Path(root).rglob("*.npz"))
        if not paths:
            raise FileNotFoundError(f"root must hold pseudo-labels, got {root}")
        return cls(root, _read(paths[0])[0])

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    @property
    def names(self) -> list[str]:
        """Scenes that have pseudo-labels, sorted."""
        paths = self.root.rglob("*.npz")
        return sorted(path.relative_to(self.root).with_suffix("").as_posix() for path in paths)

    def save(self, name: str, pseudo: PseudoLabels) -> None:
        """Write the pseudo-labels of a scene, whole or not at all, over those that are there.

        Args:
            name: scene name; "Area_1/office_1" makes a folder.
            pseudo: what to write, without its points; labels as int16, reals as float32.

        Raises:
            ValueError: if the name would leave the folder.
        """
        arrays = {
            key: getattr(pseudo, key).detach().cpu().numpy().astype(kind)
            for key, kind in _DISK_TYPES.items()
        }
        with _written_whole(self._path(name)) as file:
            np.savez_compressed(file, provenance=json.dumps(asdict(self.provenance)), **arrays)

    def load(self, name: str) -> PseudoLabels:
        """The pseudo-labels of a scene, without its points: see `PseudoLabels.at`.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if the name would leave the folder, the file is damaged or foreign, or it
                was made from something else than this store's provenance.
        """
        provenance, pseudo = _read(self._path(name))
        if provenance != self.provenance:
            raise ValueError(f"{name} must come from {self.provenance}, got {provenance}")
        return pseudo

    def summary(self) -> StoreSummary:
        """Totals over all scenes; reads each once."""
        scenes = [self.load(name) for name in self.names]
        trusted = [one.scores[one.proposals[one.valid].unique()] for one in scenes]
        scores = torch.cat([*trusted, torch.zeros(0)]).double()
        return StoreSummary(
            scenes=len(scenes),
            points=sum(len(one.labels) for one in scenes),
            labeled_points=sum(int((one.labels >= 0).sum()) for one in scenes),
            proposals=len(scores),
            mean_score=float(scores.mean()),
        )

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if "\\" in name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"name must be a path below the store's folder, got {name!r}")
        return self.root.joinpath(*parts[:-1], f"{parts[-1]}.npz")


def _read(path: Path) -> tuple[Provenance, PseudoLabels]:
    try:
        with np.load(path, allow_pickle=False) as file:
            provenance = Provenance(**json.loads(str(file["provenance"])))
            arrays = {key: file[key] for key in _DISK_TYPES}
        tensors = {
            key: torch.from_numpy(array.astype(_TYPES[array.dtype.kind]))
            for key, array in arrays.items()
        }
        return provenance, PseudoLabels(**tensors)
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
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system opens folders: Windows does not."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
