"""Scans in, labeled PLY files out."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcl_data import LabelSet, Scene
from pcl_data.datasets import SceneFolder
from pcl_data.export import write_ply
from pcl_data.file_errors import NeedsOption
from pcl_data.opening import read_options, read_words
from pcl_methods.outputs import check_outputs
from pcl_methods.segmentation.batches import Kept
from pcl_methods.segmentation.inference import Classes, Instances

READ = {"label_ids": "none", "drop_invalid": "true"}  # of every scan, unless options say otherwise
UNLABELED_COLOR = (160, 160, 160)


class PredictedScan(NamedTuple):
    """What was written of a scan."""

    scan: Path
    file: Path
    n_points: int
    n_instances: int | None  # None of a network that finds none


def predict_scans(
    scans: Sequence[Path],
    segment: Callable[[Scene], Classes],
    label_set: LabelSet,
    out: Path,
    *,
    options: Sequence[str] = (),
    check: Callable[[Scene], object] = str,
    overwrite: bool = False,
) -> Iterator[PredictedScan]:
    """Write a PLY of each scan: class colour, label, confidence and, if found, instance of a point.

    A file has every row of its scan, in the scan's own coordinates; points without finite ones have
    label and instance -1 and confidence 0. All scans are read before the first is labeled.

    Args:
        scans: files or folders of scans.
        segment: gives the classes of a scene, or its instances.
        label_set: of the classes.
        out: folder of the files; it is made.
        options: `key=value` of `SceneFolder`, such as a pattern.
        check: raises a `ValueError` of a scene that `segment` cannot take.
        overwrite: whether files in `out` may be replaced; scans never are.

    Raises:
        FileNotFoundError: if there is no such scan.
        ValueError: if two scans have the same name, one cannot be read, or a file is there.
    """
    places = read_scans(scans, out, (".ply",), options=options, check=check, overwrite=overwrite)
    for scan, scene, place in places:
        found, file = segment(scene), place.with_name(place.name + ".ply")
        n_points = _write(file, scene, found, label_set)
        n_instances = len(found.scores) if isinstance(found, Instances) else None
        yield PredictedScan(scan, file, n_points, n_instances)


def read_scans(
    scans: Sequence[Path],
    out: Path,
    suffixes: Sequence[str],
    *,
    options: Sequence[str] = (),
    check: Callable[[Scene], object] = str,
    overwrite: bool = False,
) -> Iterator[tuple[Path, Scene, Path]]:
    """Each scan, its scene and where its files go: a path without their suffix.

    Arguments and errors as of `predict_scans`.

    Args:
        scans: files or folders of scans.
        out: folder of the files; it is made.
        suffixes: of the files of a scan.
        options: `key=value` of `SceneFolder`, such as a pattern.
        check: raises a `ValueError` of a scene that cannot be taken.
        overwrite: whether files in `out` may be replaced; scans never are.
    """
    with _options_of_predict():
        words = read_options(SceneFolder, READ | read_words(options))
        folders = [SceneFolder(scan, **words) for scan in scans]
    jobs = [
        (scan, folder, name)
        for scan, folder in zip(scans, folders, strict=True)
        for name in folder.names
    ]
    places = _places([name for _, _, name in jobs], out)
    _check_place(out, scans)
    paths = [folder.path(name) for _, folder, name in jobs]
    files = [place.with_name(place.name + suffix) for place in places for suffix in suffixes]
    check_outputs(files, overwrite=overwrite, inputs=paths)
    load = Kept(lambda number: jobs[number][1].load(jobs[number][2]), 1)
    with _options_of_predict():
        for number in reversed(range(len(jobs))):  # the first stays in memory
            check(load(number))
    out.mkdir(parents=True, exist_ok=True)
    for number, ((scan, _, _), place) in enumerate(zip(jobs, places, strict=True)):
        yield scan, load(number), place


def class_colors(label_set: LabelSet, labels: np.ndarray) -> np.ndarray:
    """The colour of each label, (n, 3) uint8; grey of -1.

    Example:
        >>> from pcl_data import SCANNET20
        >>> class_colors(SCANNET20, np.array([-1])).tolist()
        [[160, 160, 160]]
    """
    return np.array([*label_set.colors, UNLABELED_COLOR], np.uint8)[labels]


def show_prediction(done: PredictedScan, *, as_json: bool) -> str:
    """A line of what was written.

    Example:
        >>> done = PredictedScan(Path("a.ply"), Path("out/a.ply"), 3, 1)
        >>> show_prediction(done, as_json=False)
        'a.ply -> out/a.ply: 3 points, 1 instances'
    """
    if as_json:
        return json.dumps({key: _plain(value) for key, value in done._asdict().items()})
    found = "" if done.n_instances is None else f", {done.n_instances} instances"
    return f"{done.scan} -> {done.file}: {done.n_points} points{found}"


def _places(names: Sequence[str], out: Path) -> list[Path]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"scans must have distinct names, got {repeated[0]} twice")
    return [out / name for name in names]


def _check_place(out: Path, scans: Sequence[Path]) -> None:
    """What an earlier command wrote must not be taken for scans."""
    for scan in scans:
        if scan.resolve() in out.resolve().parents and out.is_dir() and any(out.iterdir()):
            raise ValueError(f"out must be empty where it lies in {scan}, got {out}: name another")


def _write(file: Path, scene: Scene, found: Classes, label_set: LabelSet) -> int:
    """The points of the scene, at the rows that they have in the scan; how many rows."""
    rows = scene.valid_rows
    if rows is None:
        rows = np.ones(len(scene.points), bool)
    else:
        warnings.warn(
            f"{scene.name}: {(~rows).sum()} of {len(rows)} points have no finite coordinates: "
            "their label is -1",
            stacklevel=3,
        )
    points = np.full((len(rows), 3), np.nan, np.float32)
    labels, instances = np.full((2, len(rows)), -1)
    confidence = np.zeros(len(rows), np.float32)
    points[rows], labels[rows], confidence[rows] = scene.points, found.labels, found.confidence
    if isinstance(found, Instances):
        instances[rows] = found.instances
    write_ply(
        file,
        points,
        colors=class_colors(label_set, labels),
        labels=labels,
        instances=instances if isinstance(found, Instances) else None,
        confidence=confidence,
        origin=np.zeros(3) if scene.origin is None and not rows.all() else scene.origin,
    )
    return len(rows)


@contextmanager
def _options_of_predict() -> Iterator[None]:
    """Name options as this command takes them."""
    try:
        yield
    except NeedsOption as error:
        raise ValueError(error.given_as("--option {}")) from error


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
