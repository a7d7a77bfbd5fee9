"""What is wrong with a data set, found before a training run finds it.

An error is what no run survives or what makes its numbers wrong: a file that cannot be read, NaN, a
label outside the map. A warning is what is legal and seldom meant: millimetres, y up, a class
without a point.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pcl_data.dataset import Dataset
from pcl_data.scene import Scene

LARGEST, SMALLEST = 200.0, 0.5  # metres: a scene beyond them is hardly in metres
LARGEST_SWEEP = 500.0  # metres, of what one sensor sees from where it is
SMALLEST_INSTANCE = 10  # points
# Names of the classes that lie at the bottom of a scene.
_GROUND = {"floor", "road", "parking", "sidewalk", "driveable_surface", "ground", "terrain"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        level: "error" or "warning".
        scene: name of the scene; "" for the data set as a whole.
        rule: which check found it: `read`, `units`, `orientation`, `colours`, `labels`,
            `instances`, `duplicates`, `classes`.
        message: what is wrong and, if known, what to do.
    """

    level: Literal["error", "warning"]
    scene: str
    rule: str
    message: str


def validate(dataset: Dataset) -> Iterator[Finding]:
    """Findings of every scene, and of the whole; a scene that cannot be read is one.

    What a reader warns of is a finding too: columns that it does not understand, an origin.

    Args:
        dataset: any; it is read once.
    """
    label_set = dataset.label_set
    n_classes = 0 if label_set is None else label_set.n_classes
    is_seen, n_labeled = np.zeros(n_classes, bool), 0
    without: list[str] = []
    n_read = 0
    for index, name in enumerate(dataset.names):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            problem = ""
            try:
                scene: Scene | None = dataset[index]
            except (ValueError, OSError) as error:
                scene, problem = None, str(error)
        for message in _user_warnings(said):
            yield Finding("warning", name, "read", message)
        if scene is None:
            yield Finding("error", name, "read", problem)
            continue
        yield from validate_scene(scene)
        n_read += 1
        if scene.labels is None:
            without.append(name)
        if scene.labels is not None and label_set is not None:
            labels = scene.labels[scene.labels >= 0]
            n_labeled += len(labels)
            is_seen[labels] = True
    if 0 < len(without) < n_read:
        message = f"{len(without)} of {n_read} scenes have no labels, {without[0]} the first"
        yield Finding("warning", "", "labels", message)
    if label_set is not None and n_labeled and not is_seen.all():
        absent = [n for n, seen in zip(label_set.names, is_seen, strict=True) if not seen]
        message = f"no point of {', '.join(absent)} in any scene"
        yield Finding("warning", "", "classes", message)


def validate_scene(scene: Scene) -> Iterator[Finding]:
    """What is odd about a scene that can be read."""
    checks = {
        "units": _units,
        "orientation": _orientation,
        "colours": _colors,
        "labels": _labels,
        "instances": _instances,
        "duplicates": _duplicates,
    }
    for rule, check in checks.items():
        for message in check(scene):
            yield Finding("warning", scene.name, rule, message)


def _user_warnings(said: list[warnings.WarningMessage]) -> list[str]:
    """What a reader warned of, each once."""
    users = [each for each in said if issubclass(each.category, UserWarning)]
    return list(dict.fromkeys(str(each.message) for each in users))


def _units(scene: Scene) -> Iterator[str]:
    extent = float(np.ptp(scene.points, axis=0).max())
    largest = LARGEST if scene.sensor_to_world is None else LARGEST_SWEEP
    if not SMALLEST <= extent <= largest:
        hint = f"; max_extent={np.ceil(extent):.0f} lets a training take it"
        yield f"the scene spans {extent:g} m; are its units metres?{hint * (extent > largest)}"
    far = float(np.abs(scene.points).max())
    if far > 1e4:
        yield f"coordinates reach {far:g} m, where float32 is 1 mm and coarser; move the origin"


def _orientation(scene: Scene) -> Iterator[str]:
    """The ground is low and flat; without labels, a scene is not much higher than wide."""
    extent = np.ptp(scene.points, axis=0)
    ground = _ground_points(scene)
    if ground is None:
        if extent[2] > 2 * max(extent[:2]):
            yield f"the scene is {extent[2]:g} m high and {max(extent[:2]):g} m wide; is z up?"
        return
    low, high = np.percentile(scene.points[:, 2], [1, 99])  # a LiDAR sees echoes below the road
    height = np.median(ground[:, 2]) - low
    spread = np.percentile(ground, 75, axis=0) - np.percentile(ground, 25, axis=0)
    if spread.argmin() != 2 or height > 0.5 * (high - low):
        yield (
            f"the ground spreads {spread[0]:.2g}, {spread[1]:.2g}, {spread[2]:.2g} m along x, y, z "
            f"and lies {height:.2g} m above the lowest points; is z up?"
        )


def _ground_points(scene: Scene) -> np.ndarray | None:
    if scene.labels is None or scene.label_set is None:
        return None
    ground = [i for i, name in enumerate(scene.label_set.names) if name in _GROUND]
    points = scene.points[np.isin(scene.labels, ground)]
    return points if len(points) >= 100 else None


def _colors(scene: Scene) -> Iterator[str]:
    if scene.colors is None:
        return
    low, high = int(scene.colors.min()), int(scene.colors.max())
    if low == high:
        yield f"every colour is {low}; is there colour at all?"
    elif high <= 1:
        yield "colours are 0 and 1 only; were they fractions before they became whole numbers?"


def _labels(scene: Scene) -> Iterator[str]:
    if scene.labels is None:
        return
    if (scene.labels < 0).all():
        yield "every point is unlabeled"
    elif scene.label_set is None:
        yield "there are labels and no label set that says what they mean"


def _instances(scene: Scene) -> Iterator[str]:
    if scene.instances is None or scene.labels is None:
        return
    is_member = scene.instances >= 0
    ids, inverse, counts = np.unique(
        scene.instances[is_member], return_inverse=True, return_counts=True
    )
    labels = scene.labels[is_member]
    lowest = np.full(len(ids), np.iinfo(np.int64).max)
    highest = np.full(len(ids), -1)
    np.minimum.at(lowest, inverse, labels)
    np.maximum.at(highest, inverse, labels)
    mixed = ids[lowest != highest]
    if len(mixed):
        yield f"{len(mixed)} instances hold several labels, {mixed[0]} the first of them"
    tiny = ids[counts < SMALLEST_INSTANCE]
    if len(tiny) and scene.intensity is None:  # a LiDAR hits a far thing with a beam or two
        yield f"{len(tiny)} instances have fewer than {SMALLEST_INSTANCE} points, {tiny[0]} first"


def _duplicates(scene: Scene) -> Iterator[str]:
    points = np.ascontiguousarray(scene.points)
    rows = np.sort(points.view([("x", "f4"), ("y", "f4"), ("z", "f4")]).ravel())
    share = float((rows[1:] == rows[:-1]).mean()) if len(rows) > 1 else 0.0
    if share > 0.05:
        yield f"{share:.0%} of the points repeat another one exactly"
