"""Every scene of a run opened and checked before the first step."""

import hashlib
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from pcl_backbones.coordinates import COORD_LIMIT
from pcl_data.parallel import run_each
from pcl_data.scene import Scene
from pcl_data.splits import SceneSplit
from pcl_methods.run_scenes import RunScenes
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.scene_grid import scene_grid
from pcl_run.counting import counting
from pcl_run.threads import usable_cores

PATIENCE = 5.0  # seconds after which the scenes that are left are checked in parallel processes
HASHED = ("points", "colors", "intensity", "labels", "instances")


@dataclass(frozen=True)
class SceneNeeds:
    """What the scenes of a run must have.

    Args:
        voxel_size: metres; None: any extent is fine.
        features: what the network reads of a point; None: nothing.
        learned: of `labels` and `instances`, those that labeled scenes must have.
        scored: those that held-out scenes must have.
        frames: whether there must be camera frames.
    """

    voxel_size: float | None = None
    features: FeatureKind | None = None
    learned: tuple[str, ...] = ()
    scored: tuple[str, ...] = ()
    frames: bool = False

    def check(self, scene: Scene) -> None:
        """Return quietly if a network can read the scene.

        Raises:
            ValueError: if it lacks the features or frames, or spans too many voxels.
        """
        if self.frames and not len(scene.frames):
            raise ValueError(f"scene {scene.name} must have camera frames, got none")
        if self.features is not None:
            point_features(scene, self.features)
        if self.voxel_size is not None:
            check_range(scene, self.voxel_size)


class SceneFacts(NamedTuple):
    """What is remembered of a scene that was checked."""

    content: str  # hash of what is learned and scored of it
    files: str | None  # sizes and times of its files; None where these are not known
    n_points: int
    n_annotated: int  # points with a label that may be learned from


class _Finding(NamedTuple):
    facts: SceneFacts | None
    problem: str | None
    warnings: tuple[str, ...] = ()


def check_scenes(
    split: SceneSplit, needs: SceneNeeds, known: Mapping[str, SceneFacts] | None = None
) -> dict[str, SceneFacts]:
    """Open every scene of a split and check it for its role; a warning of many scenes is said once.

    Warnings of `pcl_data` are silent from then on: they have been said.

    Args:
        split: the scenes.
        needs: what they must have.
        known: of scenes that were checked before; those whose files have not changed since are not
            opened again.

    Returns:
        the facts of each scene.

    Raises:
        ValueError: naming the first scene that cannot be used and how many more there are, or that
            is another than the known one; or if no labeled scene holds a label.
    """
    names = [*split.training, *split.validation]
    known = known or {}
    facts: dict[str, SceneFacts] = {}
    for name in names:
        if name in known and known[name].files == (stamp := _stamp(split, name)) and stamp:
            facts[name] = known[name]
    unknown = [name for name in names if name not in facts]
    found = _each(partial(_examine, split, needs), unknown)
    _raise_first(unknown, found, known)
    facts |= {name: one.facts for name, one in found.items() if one.facts is not None}
    _say_once([(name, text) for name in unknown for text in found[name].warnings])
    has_labels = any(facts[name].n_annotated for name in split.labeled)
    if needs.learned and split.labeled and not has_labels:
        raise ValueError(
            f"labels must be of some point of the labeled scenes, got -1 everywhere in "
            f"{len(split.labeled)} ({', '.join(split.labeled[:5])})"
        )
    return facts


def check_range(scene: Scene, voxel_size: float) -> None:
    """Return quietly if the voxels of a scene can be told apart (`scene_grid`).

    Raises:
        ValueError: naming the scene, if it spans too many.
    """
    if float(np.ptp(scene.points, axis=0).max()) / voxel_size < COORD_LIMIT:
        return
    try:
        scene_grid(scene.points, voxel_size)
    except ValueError:
        raise ValueError(
            f"scene {scene.name} must span at most {2 * COORD_LIMIT} voxels of {voxel_size:g} m "
            "along an axis, wide empty space not counted: take larger voxels, or smaller scenes"
        ) from None


def content_hash(*scenes: Scene) -> str:
    """A hash of all that is learned and scored of scenes."""
    digest = hashlib.blake2b(digest_size=16)
    for scene in scenes:
        for field in HASHED:
            array = getattr(scene, field)
            if array is not None:
                digest.update(f"{field} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _examine(split: SceneSplit, needs: SceneNeeds, name: str) -> _Finding:
    """What there is to say of one scene."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            facts, problem = _facts(split, needs, name), None
        except (ValueError, OSError) as error:
            facts, problem = None, str(error)
    texts = (str(one.message) for one in said if one.category is UserWarning)
    return _Finding(facts, problem, tuple(dict.fromkeys(texts)))


def _facts(split: SceneSplit, needs: SceneNeeds, name: str) -> SceneFacts:
    stamp = _stamp(split, name)
    scene = split.load(name)
    needs.check(scene)
    is_labeled = name in set(split.labeled)
    wanted = needs.learned if is_labeled else needs.scored if name in split.validation else ()
    purpose = "learn from" if is_labeled else "be scored"
    for field in wanted:
        if getattr(scene, field) is None:
            raise ValueError(split.lack_of(name, field, purpose))
    learned = split.budget.limit(scene) if is_labeled and needs.learned else scene
    labels = learned.labels
    n_annotated = 0 if labels is None or not is_labeled else int((labels >= 0).sum())
    seen = [scene] if learned is scene else [scene, learned]
    return SceneFacts(content_hash(*seen), stamp, len(scene.points), n_annotated)


def _stamp(split: SceneSplit, name: str) -> str | None:
    """Sizes and times of the files of a scene; None where these are not known."""
    files = split.load.files(name) if isinstance(split.load, RunScenes) else ()
    try:
        stats = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    except OSError:
        return None
    return hashlib.blake2b(repr(stats).encode(), digest_size=16).hexdigest() if stats else None


def _each(examine: "partial[_Finding]", names: Sequence[str]) -> dict[str, _Finding]:
    """The finding of each name: in this process while that is quick, then in many."""
    found: dict[str, _Finding] = {}
    started = time.monotonic()
    with counting("checking scenes", len(names)) as done:
        for name in names:
            if time.monotonic() - started > PATIENCE:
                break
            found[name] = examine(name)
            done(name)
        for name, one in _in_parallel(examine, names[len(found) :]):
            found[name] = one
            done(name)
    return found


def _in_parallel(
    examine: "partial[_Finding]", names: Sequence[str]
) -> Iterator[tuple[str, _Finding]]:
    job = partial(_examine_numbered, examine, names)
    for number, one in run_each(job, range(len(names)), usable_cores()):
        yield names[number], one


def _examine_numbered(examine: "partial[_Finding]", names: Sequence[str], number: int) -> _Finding:
    return examine(names[number])


def _raise_first(
    names: Sequence[str], found: Mapping[str, _Finding], known: Mapping[str, SceneFacts]
) -> None:
    problems = [found[name].problem or _change(name, found[name].facts, known) for name in names]
    problems = [problem for problem in problems if problem is not None]
    if problems:
        more = f" (and {len(problems) - 1} more scenes cannot be used)" if problems[1:] else ""
        raise ValueError(f"{problems[0]}{more}")


def _change(name: str, facts: SceneFacts | None, known: Mapping[str, SceneFacts]) -> str | None:
    if facts is None or name not in known or known[name].content == facts.content:
        return None
    return f"scene {name} must stay as it was when the run began, got other content"


def _say_once(said: Sequence[tuple[str, str]]) -> None:
    """One warning for those that differ in the name of the scene alone."""
    kinds: dict[str, list[str]] = {}
    for name, text in said:
        kinds.setdefault(text.replace(name, ""), []).append(text)
    for alike in kinds.values():
        more = f" (and {len(alike) - 1} more scenes like it)" if alike[1:] else ""
        warnings.warn(f"{alike[0]}{more}", stacklevel=3)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pcl_data\b")
