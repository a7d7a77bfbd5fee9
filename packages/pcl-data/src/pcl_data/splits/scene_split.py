"""The scenes of a run by role: to learn from, with labels and without, and held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pcl_data.label_set import LabelSet
from pcl_data.scene import Scene
from pcl_data.splits.budgets import LabelBudget


def _no_columns(name: str) -> Sequence[str]:
    """The default of `SceneSplit.unread_columns`; unlike a lambda, it goes to other processes."""
    return ()


@dataclass(frozen=True)
class SceneSplit:
    """Scenes by name; `load` reads one.

    Args:
        data: name of the data, the first word of a protocol: `rooms-v5`, `scannet`, `folder:scans`.
        label_set: meaning of the labels; None where there are none.
        training: scenes to learn from, in the order of the data set.
        validation: held-out scenes.
        budget: which labels of the training scenes may be learned from.
        load: reads the scene of a name, with all the labels that it has.
        unread_columns: of a name, those in its file that were not understood: labels, maybe.

    Raises:
        ValueError: if a scene is to be learned from and held out, or the budget is of others.

    Example:
        >>> import numpy as np
        >>> from pcl_data.splits import LabelBudget
        >>> def load(name):
        ...     return Scene(name, np.zeros((1, 3), np.float32))
        >>> budget = LabelBudget("lr-1", ("b",))
        >>> split = SceneSplit("folder:scans", None, ("a", "b"), ("c",), budget, load)
        >>> split.labeled, split.unlabeled
        (('b',), ('a',))
    """

    data: str
    label_set: LabelSet | None
    training: tuple[str, ...]
    validation: tuple[str, ...]
    budget: LabelBudget
    load: Callable[[str], Scene]
    unread_columns: Callable[[str], Sequence[str]] = _no_columns

    def __post_init__(self) -> None:
        both = sorted(set(self.training) & set(self.validation))
        if both:
            raise ValueError(f"validation must hold no training scene, got {both[0]}")
        foreign = sorted(set(self.budget.scenes) - set(self.training))
        if foreign:
            raise ValueError(f"budget must be of training scenes, got {foreign[0]}")

    @property
    def labeled(self) -> tuple[str, ...]:
        """Training scenes with labels, all of them or a few points each."""
        return self.budget.scenes

    @property
    def unlabeled(self) -> tuple[str, ...]:
        """Training scenes with points that may not be learned from.

        The scenes without labels; where the budget is of points, all training scenes.
        """
        if self.budget.annotations is not None:
            return self.training
        labeled = set(self.labeled)
        return tuple(name for name in self.training if name not in labeled)

    def load_labeled(self, name: str, *, instances: bool = False) -> Scene:
        """A training scene with the labels that the budget allows.

        Args:
            name: one of `labeled`.
            instances: whether there must be instances.

        Raises:
            ValueError: if the scene has no labels, or no instances where they are needed, or is
                not labeled.
        """
        scene = self.load(name)
        for field in ("labels", "instances") if instances else ("labels",):
            if getattr(scene, field) is None:
                raise ValueError(self.lack_of(name, field, "learn from"))
        return self.budget.limit(scene)

    def lack_of(self, name: str, field: str, purpose: str) -> str:
        """Says that a scene has no such array, and which columns of its file may be it.

        Args:
            name: of the scene.
            field: of `Scene`.
            purpose: what the array is for, as a verb.
        """
        unread = ", ".join(self.unread_columns(name))
        hint = f"; not understood in its file: {unread}" if unread else ""
        return f"scene {name} must have {field} to {purpose}, got none{hint}"
