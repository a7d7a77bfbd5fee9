"""The part that all data sets in files share: names, a check of the files, reading on demand."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import ClassVar

from pcl_data.dataset import Dataset
from pcl_data.label_set import LabelSet
from pcl_data.scene import Scene


class FileDataset(Dataset):
    """Scenes of a data set in its official layout, each read when it is asked for.

    Args:
        root: folder of the data set.
        names: names of the scenes.
        label_set: meaning of the labels.

    Raises:
        FileNotFoundError: if files are missing: which ones, and where they come from.
    """

    title: ClassVar[str]  # of the data set
    source: ClassVar[str]  # where its owners give the files out

    def __init__(
        self, root: str | PathLike[str], names: Sequence[str], label_set: LabelSet | None
    ) -> None:
        self.root = Path(root)
        self.names = tuple(names)
        self.label_set = label_set
        self.require(self.root, self.missing_files())

    @classmethod
    def require(cls, root: Path, paths: Iterable[Path]) -> None:
        """Raise `FileNotFoundError` that names those that do not exist, and their source."""
        missing = [path for path in paths if not path.exists()]
        if missing:
            shown = ", ".join(str(path.relative_to(root)) for path in missing[:10])
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise FileNotFoundError(
                f"{root} must hold {cls.title}: {shown}{more} missing, from {cls.source}"
            )

    @abstractmethod
    def files(self, name: str) -> tuple[Path, ...]:
        """The files that the scene of a name needs."""

    @abstractmethod
    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: naming the file that is broken and the rule it breaks.
        """

    def missing_files(self) -> list[Path]:
        """Files that the scenes need and that are not there, in order."""
        needed = dict.fromkeys(path for name in self.names for path in self.files(name))
        return [path for path in needed if not path.is_file()]

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        return self.read(self.names[index])
