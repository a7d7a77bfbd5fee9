"""The part that all data sets in files share: names, options, a check of the files, reading."""

import re
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import ClassVar, Literal, get_args

from pcl_data.dataset import Dataset, check_extent, check_max_extent
from pcl_data.datasets.selection import chosen_names, few, matching_names
from pcl_data.file_errors import NeedsOption
from pcl_data.label_set import LabelSet
from pcl_data.readers.scene_reader import LabelIds
from pcl_data.scene import Scene

Missing = Literal["error", "skip"]


class MissingFilesError(NeedsOption, FileNotFoundError):
    """Some scenes have all their files and others do not: `missing=skip` takes the former."""


class FileDataset(Dataset):
    """Scenes of a data set in its official layout, each read when it is asked for.

    Hidden files (`._000000.bin` of macOS) are never taken for data.

    Args:
        root: folder of the data set.
        split: an official split, a group of scenes (a sequence, an area, a room), a pattern of
            names (`08/0000*`), a name, or several of these.
        label_set: meaning of the labels, one of `label_sets`; None takes the first.
        label_ids: "none" leaves out labels, instances and boxes, and needs no files of them.
        pattern: of the names to take, among those of the split.
        missing: "skip" leaves out scenes that lack files, with a warning that counts them.
        max_extent: largest width, depth or height of a scene that is believed, metres.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
        ValueError: if split or an option is none of the above.
    """

    title: ClassVar[str]  # of the data set
    source: ClassVar[str]  # where its owners give the files out
    splits: ClassVar[Sequence[str]] = ()
    label_sets: ClassVar[tuple[LabelSet, ...]] = ()
    name_form: ClassVar[str] = ""  # expression of names that need not be looked up

    def __init__(
        self,
        root: str | PathLike[str],
        split: str | Sequence[str],
        *,
        label_set: LabelSet | None = None,
        label_ids: LabelIds | None = None,
        pattern: str = "*",
        missing: Missing = "error",
        max_extent: float | None = None,
    ) -> None:
        if missing not in get_args(Missing):
            raise ValueError(f"missing must be 'error' or 'skip', got {missing!r}")
        if label_ids not in (None, *get_args(LabelIds)):
            raise ValueError(f"label_ids must be 'train', 'raw' or 'none', got {label_ids!r}")
        check_max_extent(max_extent)
        self.root = Path(root)
        self.label_set = self._known(label_set)
        self.has_labels = label_ids != "none"
        self.missing: Missing = missing
        self.max_extent = max_extent
        self._absent: list[Path] = []
        self.names = matching_names(self._chosen(split), pattern)
        self.load_tables()
        self.names = self._complete_names()

    @abstractmethod
    def files(self, name: str) -> tuple[Path, ...]:
        """The files that the scene of a name needs."""

    @abstractmethod
    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: naming the file that is broken and the rule it breaks.
        """

    @abstractmethod
    def split_names(self, split: str) -> Sequence[str]:
        """Names of the scenes of one of `splits`."""

    @abstractmethod
    def every_name(self) -> Sequence[str]:
        """Names of all scenes that are there."""

    def group_of(self, name: str) -> str:
        """The sequence, area or room that a scene belongs to; "" if there are none."""
        return name.rpartition("/")[0]

    def full_name(self, word: str) -> str:
        """A word of a split as names are written."""
        return word

    def load_tables(self) -> None:
        """Read what the files of the chosen names are found by, where that is a table."""

    @classmethod
    def require(cls, root: Path, paths: Iterable[Path]) -> None:
        """Raise `FileNotFoundError` that names those that do not exist, and their source."""
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise FileNotFoundError(cls._lacks(root, missing))

    def listed(self, folders: Iterable[Path], pattern: str) -> list[Path]:
        """What matches in each folder, sorted, and is not hidden.

        Folders without any count as missing.
        """
        found, absent = [], []
        for folder in folders:
            paths = visible(folder, pattern)
            found += paths
            absent += [] if paths else [folder / pattern if folder.is_dir() else folder]
        self._leave_out(absent, bool(found), "some of its parts are there")
        return found

    def missing_files(self) -> list[Path]:
        """Files that the scenes need and that are not there, in order."""
        return list(dict.fromkeys(path for paths in self._lacking().values() for path in paths))

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        scene = self.read(self.names[index])
        if not self.has_labels:
            scene = replace(scene, labels=None, instances=None, boxes=None)
        check_extent(f"{self.root}: scene {scene.name}", scene, self.max_extent)
        return scene

    def _known(self, label_set: LabelSet | None) -> LabelSet | None:
        if label_set is None:
            return self.label_sets[0] if self.label_sets else None
        if label_set not in self.label_sets:
            known = ", ".join(known.name for known in self.label_sets) or "none, without labels"
            raise ValueError(f"label_set of {self.title} must be {known}, got {label_set.name}")
        return label_set

    def _chosen(self, split: str | Sequence[str]) -> tuple[str, ...]:
        words = [split] if isinstance(split, str) else split
        return chosen_names(
            [word if word in self.splits else self.full_name(word) for word in words],
            splits=self.splits,
            names_of=self.split_names,
            every=self.every_name,
            group_of=self.group_of,
            is_name=lambda word: re.fullmatch(self.name_form, word) is not None,
        )

    def _lacking(self) -> dict[str, list[Path]]:
        """The missing files of each scene that lacks some."""
        there: dict[Path, bool] = {}
        lacking = {}
        for name in self.names:
            paths = self.files(name)
            there |= {path: path.is_file() for path in paths if path not in there}
            lacking[name] = [path for path in paths if not there[path]]
        return {name: paths for name, paths in lacking.items() if paths}

    def _complete_names(self) -> tuple[str, ...]:
        """Names of the scenes that lack no file."""
        lacking = self._lacking()
        complete = tuple(name for name in self.names if name not in lacking)
        counted = f"{len(lacking):,} of {len(self.names):,} scenes are not complete"
        self._leave_out(self.missing_files(), bool(complete), counted)
        if self._absent:
            parts = [str(path.relative_to(self.root)) for path in self._absent]
            scenes = f"{len(lacking):,} of {len(self.names):,} scenes ({few(list(lacking))})"
            what = scenes if lacking else "parts"
            warnings.warn(f"{self.root}: left out {what}: {few(parts)} missing", stacklevel=4)
        return complete

    def _leave_out(self, absent: Sequence[Path], is_some_there: bool, counted: str) -> None:
        """Remember files that are not there, or say so."""
        if absent and not is_some_there:
            raise FileNotFoundError(self._lacks(self.root, absent))
        if absent and self.missing == "error":
            problem = f"{self._lacks(self.root, absent)}; {counted}"
            raise MissingFilesError(problem, "missing=skip", "leaves those out")
        self._absent += absent

    @classmethod
    def _lacks(cls, root: Path, missing: Sequence[Path]) -> str:
        shown = few([str(path.relative_to(root)) for path in missing], 10)
        return f"{root} must hold {cls.title}: {shown} missing, from {cls.source}"


def visible(folder: Path, pattern: str) -> list[Path]:
    """Paths in a folder that match and are not hidden, sorted."""
    return sorted(
        path
        for path in folder.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
