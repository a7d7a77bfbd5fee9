"""Budgets of boxes: a few objects of a scene, with their boxes, instances and labels."""

from dataclasses import replace
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Int, Int64

from pcl_data.label_set import IGNORE_INDEX
from pcl_data.scene import Scene

# Boxes are the bounds of their points, rounded to float32: points on a face must not fall out.
FACE_TOLERANCE = 1e-3  # metres


def limited_boxes(scene: Scene, count: int, *, seed: int = 0) -> Scene:
    """The scene with `count` random boxes only, and what is annotated of their objects.

    As `keep_boxes`. A scene with fewer boxes keeps them all.

    Args:
        scene: with boxes.
        count: number of boxes to keep; the benchmark has 1, 2, 4 and 7.
        seed: with the name of the scene it fixes the boxes, nested over counts.

    Raises:
        ValueError: as `keep_boxes`, or if count is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    generator = np.random.default_rng([seed, crc32(scene.name.encode())])
    return keep_boxes(scene, np.sort(generator.permutation(len(_boxes_of(scene)))[:count]))


def keep_boxes(scene: Scene, rows: Int[np.ndarray, " m"]) -> Scene:
    """The scene with these boxes only, and the labels and instances of the objects in them.

    All other labels and instances become -1, those of walls and floors too, as in the published
    loader (Hou et al., CVPR 2021, `scannet_detection_dataset.py`). That one is told the instance of
    each box. Here an instance belongs to the box that holds most of its points, counting points of
    the box's class and more than half of them; of several that hold as many, to the smallest.

    Args:
        scene: with boxes, and with instances if it has labels.
        rows: boxes to keep, in the order that they shall have.

    Raises:
        ValueError: if the scene has no boxes, has labels but no instances, or a row does not exist.
    """
    boxes = _boxes_of(scene)
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(boxes):
        raise ValueError(
            f"scene {scene.name!r}: rows must lie in [0, {len(boxes)}), "
            f"got [{rows.min()}, {rows.max()}]"
        )
    if scene.instances is None:
        if scene.labels is not None:
            raise ValueError(f"scene {scene.name!r}: instances must be given with labels, got None")
        return replace(scene, boxes=boxes[rows])
    is_kept = np.isin(_box_of_points(scene, boxes, scene.instances), rows)
    instances = np.where(is_kept, scene.instances, -1)
    labels = None if scene.labels is None else np.where(is_kept, scene.labels, IGNORE_INDEX)
    return replace(scene, boxes=boxes[rows], instances=instances, labels=labels)


def _boxes_of(scene: Scene) -> np.ndarray:
    if scene.boxes is None:
        raise ValueError(f"scene {scene.name!r}: boxes must be given, got None")
    return scene.boxes


def _box_of_points(
    scene: Scene, boxes: np.ndarray, instances: np.ndarray
) -> Int64[np.ndarray, " n"]:
    """Row of the box that the instance of each point belongs to, -1 for none."""
    ids, instance, sizes = np.unique(instances, return_inverse=True, return_counts=True)
    box_of, most = np.full(len(ids), -1), sizes / 2
    for row in np.argsort(boxes[:, 3:6].prod(axis=1), kind="stable"):
        is_inside = _inside(scene.points, boxes[row])
        if scene.labels is not None:
            is_inside &= scene.labels == boxes[row, 7]
        held = np.bincount(instance[is_inside], minlength=len(ids))
        is_better = held > most
        box_of[is_better], most[is_better] = row, held[is_better]
    box_of[ids == -1] = -1
    return box_of[instance]


def _inside(points: np.ndarray, box: np.ndarray) -> Bool[np.ndarray, " n"]:
    x, y, z = (points - box[:3]).T
    cosine, sine = np.cos(box[6]), np.sin(box[6])
    along, across = cosine * x + sine * y, cosine * y - sine * x
    half = box[3:6] / 2 + FACE_TOLERANCE
    return (abs(along) <= half[0]) & (abs(across) <= half[1]) & (abs(z) <= half[2])
