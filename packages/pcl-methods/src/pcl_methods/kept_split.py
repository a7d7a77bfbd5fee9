"""The split that a run began with: `split.json` in its folder.

What is added to the data later gets no role, and what has changed or is gone is an error.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from warnings import warn

from pydantic import TypeAdapter, ValidationError

from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.checking import SceneFacts, SceneNeeds, check_scenes
from pcl_run.files import write_json
from pcl_run.run import Run, is_main_process

FILE, FORMAT = "split.json", "pcl_methods split 1"


@dataclass(frozen=True)
class KeptSplit:
    """Names by role, and what is known of each scene.

    Args:
        budget: name of the label budget.
        training: scenes to learn from.
        labeled: those of them whose labels may be learned from.
        validation: held-out scenes.
        scenes: facts of each.
    """

    budget: str
    training: tuple[str, ...]
    labeled: tuple[str, ...]
    validation: tuple[str, ...]
    scenes: dict[str, SceneFacts]

    def check_names(self, names: Collection[str], data: str) -> None:
        """Return quietly if all scenes are still there; a warning counts those that are new.

        Raises:
            ValueError: naming the first scene that is gone.
        """
        own = [*self.training, *self.validation]
        gone = [name for name in own if name not in set(names)]
        if gone:
            more = f" and {len(gone) - 1} more" if gone[1:] else ""
            raise ValueError(
                f"{data} must hold every scene that the run began with, got no {gone[0]}{more}"
            )
        new = sorted(set(names) - set(own))
        if new:
            shown = f"{', '.join(new[:5])}{' ...' if new[5:] else ''}"
            warn(
                f"{len(new)} scenes of {data} are left out, as the run began without: {shown}",
                stacklevel=3,
            )

    def check_budget(self, name: str, labeled: Collection[str]) -> None:
        """Return quietly if the labels are those that the run began with.

        Raises:
            ValueError: if they are of other scenes.
        """
        if (name, tuple(labeled)) != (self.budget, self.labeled):
            raise ValueError(
                f"data.budget must give the labels that the run began with, {self.budget} of "
                f"{len(self.labeled)} scenes, got {name} of {len(labeled)}"
            )


def check_held_out(split: SceneSplit, needs: SceneNeeds, kept: KeptSplit | None) -> None:
    """`check_scenes` of the held-out scenes alone; a warning counts those that were learned from.

    Args:
        split: whose held-out scenes are to be scored.
        needs: what they must have.
        kept: what the run of the model began with.

    Raises:
        ValueError: as `check_scenes`.
    """
    alone = replace(split, training=(), budget=LabelBudget("none", ()))
    is_own = kept is not None and split.training == kept.training
    facts = check_scenes(alone, needs, kept.scenes if kept is not None and is_own else None)
    if kept is not None:
        learned = {kept.scenes[name].content for name in kept.training if name in kept.scenes}
        count = sum(one.content in learned for one in facts.values())
        if count:
            warn(f"{count} of {len(facts)} scored scenes were learned from", stacklevel=2)


def check_split(
    split: SceneSplit, needs: SceneNeeds, kept: KeptSplit | None = None
) -> dict[str, SceneFacts]:
    """`check_scenes` by the first of several processes; the others find nothing.

    Raises:
        ValueError: as `check_scenes`.
    """
    known = None if kept is None else kept.scenes
    return check_scenes(split, needs, known) if is_main_process() else {}


def keep_split(run: Run, split: SceneSplit, facts: Mapping[str, SceneFacts]) -> None:
    """Write the split of a run into its folder, unless one is kept there."""
    if not run.is_writer or (run.folder / FILE).exists():
        return
    kept = {
        "format": FORMAT,
        "data": split.data,
        "budget": split.budget.name,
        "training": split.training,
        "labeled": split.labeled,
        "validation": split.validation,
        "scenes": {name: one._asdict() for name, one in facts.items()},
    }
    write_json(run.folder / FILE, kept)


def read_kept(run_folder: Path) -> KeptSplit | None:
    """The split of a run; None where it keeps none.

    Raises:
        ValueError: naming the file, if it is damaged.
    """
    path = run_folder / FILE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return TypeAdapter(KeptSplit).validate_python(_parsed(text))
    except (ValueError, RecursionError) as error:
        reason = "other keys or types" if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"{path}: must be the split of a run, got {reason}") from None


def _parsed(text: bytes) -> Any:
    values = json.loads(text)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"no format {FORMAT!r}")
    return {key: value for key, value in values.items() if key not in ("format", "data")}
