"""What every data set is: a sequence of named scenes with one label set."""

from abc import abstractmethod
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from pcl_data.file_errors import NeedsOption
from pcl_data.label_set import LabelSet
from pcl_data.scene import Scene

if TYPE_CHECKING:
    _Scenes = Sequence[Scene]
else:  # a checker of types at run time would read a scene each time that it meets a data set
    _Scenes = Sequence


class Dataset(_Scenes):
    """A sequence of scenes, each read or made when it is asked for, by number or by name.

    Attributes:
        label_set: meaning of the labels of every scene; None where there are none.
    """

    label_set: LabelSet | None
    names: Sequence[str]
    """Name of each scene; all are different."""

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self.names)

    @abstractmethod
    def __getitem__(self, index: int, /) -> Scene:  # type: ignore[override]
        """The scene of an index."""

    def unread_columns(self, name: str) -> tuple[str, ...]:
        """Columns in the file of a scene that were not understood, each with a guess of its role.

        None in official layouts, whose columns are known.
        """
        return ()

    def load(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: if there is none: the nearest name.
        """
        names = list(self.names)
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"name must be that of one of {len(names)} scenes, got {name!r}{hint}")
        return self[names.index(name)]


def check_extent(owner: str, scene: Scene, max_extent: float | None) -> None:
    """Return quietly unless a scene is larger than is believed: millimetres taken for metres.

    Args:
        owner: what the error begins with: the file.
        scene: the scene.
        max_extent: largest width, depth or height, metres; None believes any.

    Raises:
        NeedsOption: if the scene is larger.
    """
    if max_extent is None:
        return
    extent = float(np.ptp(scene.points, axis=0).max())
    if extent > max_extent:
        limit = f"more than max_extent={max_extent:g}: are the units metres?"
        option = f"max_extent={np.ceil(extent):.0f}"
        raise NeedsOption(f"{owner} spans {extent:g} m, {limit}", option, "takes it")


def check_max_extent(max_extent: float | None) -> None:
    """Raise `ValueError` unless it is positive or None."""
    if max_extent is not None and not max_extent > 0:
        raise ValueError(f"max_extent must be positive, got {max_extent}")
