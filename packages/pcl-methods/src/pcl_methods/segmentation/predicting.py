"""Scans in, labeled PLY files out."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcl_data import LabelSet, Scene
from pcl_data.datasets import SceneFolder
from pcl_data.export import write_ply
from pcl_data.opening import read_options, read_words
from pcl_methods.segmentation.inference import Classes, Instances


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
) -> Iterator[PredictedScan]:
    """Write a PLY of each scan: class colour, label, confidence and, if found, instance of a point.

    Args:
        scans: files or folders of scans.
        segment: gives the classes of a scene, or its instances.
        label_set: of the classes.
        out: folder of the files; it is made.
        options: `key=value` of `SceneFolder`, such as a pattern.

    Raises:
        FileNotFoundError: if there is no such scan.
        ValueError: if two scans have the same name, or one cannot be read.
    """
    folders = [
        SceneFolder(scan, **read_options(SceneFolder, {"label_ids": "none"} | read_words(options)))
        for scan in scans
    ]
    names = [name for folder in folders for name in folder.names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"scans must have distinct names, got {repeated[0]} twice")
    out.mkdir(parents=True, exist_ok=True)
    for scan, folder in zip(scans, folders, strict=True):
        for name in folder.names:
            scene = folder.load(name)
            found = segment(scene)
            file = out / f"{name}.ply"
            write_ply(
                file,
                scene.points,
                colors=np.asarray(label_set.colors, np.uint8)[found.labels],
                labels=found.labels,
                instances=found.instances if isinstance(found, Instances) else None,
                confidence=found.confidence,
            )
            n_instances = len(found.scores) if isinstance(found, Instances) else None
            yield PredictedScan(scan, file, len(scene.points), n_instances)


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


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
