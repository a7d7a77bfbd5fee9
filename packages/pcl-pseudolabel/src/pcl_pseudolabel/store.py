"""Pseudo-labels of a round on disk, one file a scene.

A file is written whole or not at all, and says what it was made from, so a run killed at any
instant finds on return exactly the scenes it had finished, and never another round's.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from pcl_pseudolabel.atomic_files import whole_file
from pcl_pseudolabel.provenance import Provenance
from pcl_pseudolabel.pseudo_label_file import read_pseudo_labels, write_pseudo_labels
from pcl_pseudolabel.pseudo_labels import PseudoLabels


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

    Temporary files that killed writers left in the folder are removed.

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
        paths = _files(Path(root))
        if not paths:
            raise FileNotFoundError(f"root must hold pseudo-labels, got {root}")
        return cls(root, _read(paths[0])[0])

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    @property
    def names(self) -> list[str]:
        """Scenes that have pseudo-labels, sorted."""
        return sorted(
            path.relative_to(self.root).with_suffix("").as_posix() for path in _files(self.root)
        )

    def save(self, name: str, pseudo: PseudoLabels) -> None:
        """Write the pseudo-labels of a scene, whole or not at all, over those that are there.

        Args:
            name: scene name; "Area_1/office_1" makes a folder.
            pseudo: what to write, without its points; labels as int16, reals as float32.

        Raises:
            ValueError: if the name would leave the folder or is hidden, or there are 10^8 points
                or more.
            OSError: if the file cannot be written.
        """
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            write_pseudo_labels(file, self.provenance, pseudo)

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
        if "\\" in name or any(part == "" or part.startswith(".") for part in parts):
            raise ValueError(
                f"name must be a path below the store's folder, nothing hidden, got {name!r}"
            )
        return self.root.joinpath(*parts[:-1], f"{parts[-1]}.npz")


def _files(root: Path) -> list[Path]:
    """The files of a store, without those that other systems hide beside them."""
    return sorted(path for path in root.rglob("*.npz") if not path.name.startswith("."))


def _read(path: Path) -> tuple[Provenance, PseudoLabels]:
    try:
        return read_pseudo_labels(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file raises anything
        problem = str(error) or type(error).__name__
        raise ValueError(f"{path} must be a whole pseudo-label file, got: {problem}") from error
