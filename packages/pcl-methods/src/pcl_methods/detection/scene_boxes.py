"""The boxes of a scene: those that are annotated, or those around its instances."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from pcl_data import LabelSet, Scene
from pcl_data.splits.boxes import limited_boxes


class SceneBoxes(NamedTuple):
    """Boxes as `Scene.boxes` has them, and the one that each point is annotated as part of."""

    boxes: Float[np.ndarray, "k 8"]
    of_point: Int64[np.ndarray, " n"] | None  # -1 none; None: only the boxes are annotated


def scene_boxes(scene: Scene, label_set: LabelSet) -> SceneBoxes:
    """The boxes of the things of a scene.

    Instances have boxes along the axes, from their least to their largest coordinates: their class
    is the commonest label among their points. Without instances the boxes are those of the scene.

    Args:
        scene: with labels and instances, or with boxes.
        label_set: which of its classes are things.

    Raises:
        ValueError: if the scene has neither, or a box has a size that is not positive or a value
            that is not finite.
    """
    if scene.labels is not None and scene.instances is not None:
        return _around_instances(scene, label_set)
    if scene.boxes is None:
        raise ValueError(
            f"scene {scene.name} must have boxes, or labels and instances, for objects to be "
            "learned or scored, got none"
        )
    boxes = np.asarray(scene.boxes)
    if not np.isfinite(boxes).all() or (boxes[:, 3:6] <= 0).any():
        bad = np.flatnonzero(~np.isfinite(boxes).all(axis=1) | (boxes[:, 3:6] <= 0).any(axis=1))
        raise ValueError(
            f"boxes of scene {scene.name} must have finite values and sizes above 0, got "
            f"{boxes[bad[0]].tolist()} in row {bad[0]}"
        )
    return SceneBoxes(boxes[np.isin(boxes[:, 7], label_set.things)], None)


def _around_instances(scene: Scene, label_set: LabelSet) -> SceneBoxes:
    labels, instances = np.asarray(scene.labels), np.asarray(scene.instances)
    rows = np.flatnonzero((instances >= 0) & (labels >= 0))
    ids, number = np.unique(instances[rows], return_inverse=True)
    n, k = label_set.n_classes, len(ids)
    votes = np.bincount(number * n + labels[rows], minlength=k * n).reshape(k, n)
    classes = votes.argmax(axis=1)
    low, high = np.full((k, 3), np.inf), np.full((k, 3), -np.inf)
    np.minimum.at(low, number, scene.points[rows])
    np.maximum.at(high, number, scene.points[rows])
    kept = np.isin(classes, label_set.things)
    columns = [(low + high) / 2, high - low, np.zeros((k, 1)), classes[:, None]]
    boxes = np.concatenate(columns, axis=1)[kept].astype(np.float32)
    place = np.where(kept, np.cumsum(kept) - 1, -1)
    of_point = np.full(len(labels), -1)
    of_point[rows] = place[number]
    return SceneBoxes(boxes, of_point)


def with_boxes(scene: Scene, label_set: LabelSet) -> Scene:
    """The scene with its boxes, around its instances where it has none of its own."""
    if scene.boxes is not None:
        return scene
    return replace(scene, boxes=scene_boxes(scene, label_set).boxes)


def limited_objects(scene: Scene, count: int, *, seed: int = 0) -> Scene:
    """The scene with so many random objects only: their boxes, instances and labels.

    Args:
        scene: with boxes, or with labels and instances.
        count: of objects; a scene with fewer keeps them all.
        seed: with the name of the scene it fixes the objects.

    Raises:
        ValueError: if the scene has no boxes and nothing to make them of, or count is below 1.
    """
    if scene.boxes is None:
        if scene.label_set is None:
            raise ValueError(f"scene {scene.name} must have boxes to be limited to some, got none")
        scene = with_boxes(scene, scene.label_set)
    return limited_boxes(scene, count, seed=seed)


def moved_boxes(
    boxes: Float[np.ndarray, "k 8"], matrix: Float[np.ndarray, "3 3"], *, oriented: bool
) -> Float[np.ndarray, "k 8"]:
    """Boxes after a turn about z, a mirroring of x and y, and a scaling of all axes alike.

    Args:
        boxes: as `Scene.boxes` has them.
        matrix: that points are moved by: `matrix @ point`.
        oriented: whether boxes may be turned; else they are the boxes along the axes around those.

    Example:
        >>> import numpy as np
        >>> quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        >>> box = np.array([[1.0, 0, 0, 4, 2, 1, 0, 5]])
        >>> moved_boxes(box, quarter, oriented=True).round(2)
        array([[0.  , 1.  , 0.  , 4.  , 2.  , 1.  , 1.57, 5.  ]])
        >>> moved_boxes(box, quarter, oriented=False)[:, 3:7]
        array([[2., 4., 1., 0.]])
    """
    scale = abs(np.linalg.det(matrix)) ** (1 / 3)
    cosine, sine, zero = np.cos(boxes[:, 6]), np.sin(boxes[:, 6]), np.zeros(len(boxes))
    along = np.stack([cosine, sine, zero], axis=1) @ matrix.T
    across = np.stack([-sine, cosine, zero], axis=1) @ matrix.T
    moved = boxes.copy()
    moved[:, :3] = boxes[:, :3] @ matrix.T
    if oriented:
        moved[:, 3:6] = boxes[:, 3:6] * scale
        moved[:, 6] = np.arctan2(along[:, 1], along[:, 0])
    else:
        moved[:, 3:6] = abs(along) * boxes[:, 3:4] + abs(across) * boxes[:, 4:5]
        moved[:, 5] = boxes[:, 5] * scale
        moved[:, 6] = 0
    return moved
