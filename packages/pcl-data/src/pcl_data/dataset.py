"""What every data set is: a sequence of named scenes with one label set."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pcl_data.label_set import LabelSet
from pcl_data.scene import Scene


@runtime_checkable
class Dataset(Protocol):
    """A sequence of scenes, each read or made when it is asked for.

    Attributes:
        label_set: meaning of the labels of every scene.
    """

    label_set: LabelSet | None

    @property
    def names(self) -> Sequence[str]:
        """Name of each scene; all are different."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Scene: ...
