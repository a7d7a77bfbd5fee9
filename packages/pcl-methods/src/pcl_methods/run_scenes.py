"""The scenes of a run by name, read when they are asked for."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pcl_data.dataset import Dataset
from pcl_data.datasets import SceneFolder
from pcl_data.datasets.file_dataset import FileDataset
from pcl_data.file_errors import NeedsOption
from pcl_data.scene import Scene


@dataclass(frozen=True)
class RunScenes:
    """Reads the scenes of a run; several processes can get it.

    Labels of a scan that are not needed and cannot be read are left out with a warning.

    Args:
        sources: the data set of each name.
        unlabeled: names of the scenes whose labels are not needed.
    """

    sources: Mapping[str, Dataset]
    unlabeled: frozenset[str] = frozenset()

    def __call__(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: if it is none of the run, or cannot be read.
        """
        if name not in self.sources:
            raise ValueError(f"name must be that of a scene of the run, got {name!r}")
        source = self.sources[name]
        try:
            with options_of_runs():
                return source.load(name)
        except ValueError as error:
            if name not in self.unlabeled or not isinstance(source, SceneFolder):
                raise
            bare = copy.copy(source)
            bare.label_ids = "none"
            with options_of_runs():
                scene = bare.load(name)
            warnings.warn(f"{error}; its labels are left out, as none are needed", stacklevel=2)
            return scene

    def unread_columns(self, name: str) -> Sequence[str]:
        """Columns of the file of a scene that were not understood."""
        return self.sources[name].unread_columns(name)

    def files(self, name: str) -> tuple[Path, ...]:
        """The files of a scene; () where the data set does not say."""
        source = self.sources[name]
        if isinstance(source, FileDataset):
            return source.files(name)
        if not isinstance(source, SceneFolder):
            return ()
        path = source.path(name)
        return tuple(sorted(path.rglob("*"))) if path.is_dir() else (path,)


@contextmanager
def options_of_runs() -> Iterator[None]:
    """Name the options of readers in errors as settings: `data.options.KEY`."""
    try:
        yield
    except NeedsOption as error:
        raise ValueError(error.given_as("data.options.{}")) from error
