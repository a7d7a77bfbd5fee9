"""Scans in; boxes out, as JSON, as a cloud with their edges, and as a page."""

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pcl_data import LabelSet, Scene
from pcl_data.atomic_files import write_whole
from pcl_data.colormaps import Layer
from pcl_data.export import write_html, write_ply
from pcl_methods.detection.box_finder import BoxFinder
from pcl_methods.detection.found_boxes import FoundBoxes
from pcl_methods.segmentation.predicting import UNLABELED_COLOR, class_colors, read_scans

SUFFIXES = (".json", ".ply", ".html")
STEP = 0.02  # metres between the points of an edge
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
EDGES = [(i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit]


class DetectedScan(NamedTuple):
    """What was written of a scan."""

    scan: Path
    place: Path  # of the files, without their suffixes
    n_boxes: int


def predict_boxes(
    scans: Sequence[Path],
    finder: BoxFinder,
    out: Path,
    *,
    least_score: float = 0.3,
    options: Sequence[str] = (),
    overwrite: bool = False,
) -> Iterator[DetectedScan]:
    """Write the boxes of each scan: `.json`, and `.ply` and `.html` with points along their edges.

    A warning says where the extents of a scan tell of other units than metres, or of another axis
    than z that points up.

    Args:
        scans: files or folders of scans.
        finder: the detector.
        out: folder of the files; it is made.
        least_score: of the boxes that are written.
        options: `key=value` of `SceneFolder`, such as a pattern.
        overwrite: whether files in `out` may be replaced; scans never are.

    Raises:
        FileNotFoundError: if there is no such scan.
        ValueError: if two scans have the same name, one cannot be read, or a file is there.
    """
    places = read_scans(
        scans, out, SUFFIXES, options=options, check=finder.check, overwrite=overwrite
    )
    for scan, scene, place in places:
        check_extents(scene)
        found = finder(scene).above(least_score)
        json_file, ply_file, html_file = (place.with_name(place.name + s) for s in SUFFIXES)
        told = box_rows(found, finder.label_set, scene)
        write_whole(json_file, (json.dumps(told, indent=2) + "\n").encode())
        _write_clouds(ply_file, html_file, scene, found, finder.label_set)
        yield DetectedScan(scan, place, len(found.boxes))


def check_extents(scene: Scene) -> None:
    """Warn if a scene is hardly a room in metres that stands upright."""
    x, y, z = np.ptp(scene.points, axis=0)
    if not 0.5 <= max(x, y, z) <= 200:
        warnings.warn(
            f"{scene.name}: {max(x, y, z):.3g} m across; coordinates must be metres", stacklevel=3
        )
    elif z > 2 * max(x, y):
        warnings.warn(
            f"{scene.name}: {z:.3g} m high and {max(x, y):.3g} m wide; z must point up",
            stacklevel=3,
        )


def box_rows(found: FoundBoxes, label_set: LabelSet, scene: Scene) -> list[dict[str, Any]]:
    """What a file tells of boxes: class, score, center, size (metres), heading (radians)."""
    origin = np.zeros(3) if scene.origin is None else scene.origin
    return [
        {
            "class": label_set.names[int(box[7])],
            "score": round(float(score), 4),
            "center": (box[:3] + origin).round(4).tolist(),
            "size": box[3:6].round(4).tolist(),
            "heading": round(float(box[6]), 4),
        }
        for box, score in zip(found.boxes, found.scores, strict=True)
    ]


def edge_points(box: Float[np.ndarray, " 8"]) -> Float[np.ndarray, "n 3"]:
    """Points along the twelve edges of a box.

    Example:
        >>> import numpy as np
        >>> edge_points(np.array([0.0, 0, 0, 1, 1, 1, 0, 5])).max(axis=0)
        array([0.5, 0.5, 0.5])
    """
    cosine, sine = np.cos(box[6]), np.sin(box[6])
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    corners = box[:3] + (CORNERS * box[3:6]) @ turn.T
    lines = []
    for i, j in EDGES:
        n_steps = max(2, round(float(np.linalg.norm(corners[j] - corners[i])) / STEP))
        lines.append(np.linspace(corners[i], corners[j], n_steps))
    return np.concatenate(lines)


def _write_clouds(
    ply_file: Path, html_file: Path, scene: Scene, found: FoundBoxes, label_set: LabelSet
) -> None:
    edges = [edge_points(box) for box in found.boxes]
    counts = [len(one) for one in edges]
    points = np.concatenate([scene.points, *edges]).astype(np.float32)
    n = len(scene.points)
    labels = np.concatenate([np.full(n, -1), found.boxes[:, 7].repeat(counts)]).astype(np.int64)
    numbers = np.concatenate([np.full(n, -1), np.arange(len(edges)).repeat(counts)])
    colors = class_colors(label_set, labels)
    if scene.colors is not None:
        colors[:n] = scene.colors
    write_ply(
        ply_file, points, colors=colors, labels=labels, instances=numbers, origin=scene.origin
    )
    classes = np.unique(found.boxes[:, 7]).astype(int)
    legend = [(label_set.names[c], tuple(label_set.colors[c])) for c in classes]
    names = dict(enumerate(label_set.names))
    only = np.concatenate([np.full((n, 3), UNLABELED_COLOR), class_colors(label_set, labels)[n:]])
    layers = {
        "boxes": Layer(colors, legend, labels, names),
        "boxes alone": Layer(only.astype(np.uint8), legend, labels, names),
    }
    write_html(html_file, points, layers, title=scene.name, origin=scene.origin)


def show_boxes(done: DetectedScan, *, as_json: bool) -> str:
    """A line of what was written.

    Example:
        >>> show_boxes(DetectedScan(Path("a.ply"), Path("out/a"), 3), as_json=False)
        'a.ply -> out/a.json, .ply, .html: 3 boxes'
    """
    if as_json:
        row = {"scan": str(done.scan), "place": str(done.place), "n_boxes": done.n_boxes}
        return json.dumps(row)
    return f"{done.scan} -> {done.place}{', '.join(SUFFIXES)}: {done.n_boxes} boxes"
