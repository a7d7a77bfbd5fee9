"""The boxes that a detector finds in a scene, after suppression of those that overlap."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pcl_data.evaluation.box_overlap import suppress_boxes


class FoundBoxes(NamedTuple):
    """Boxes as `Scene.boxes` has them, the class in the last column, most certain first."""

    boxes: Float[np.ndarray, "m 8"]
    scores: Float[np.ndarray, " m"]

    def above(self, score: float) -> "FoundBoxes":
        """Those with at least this score."""
        kept = self.scores >= score
        return FoundBoxes(self.boxes[kept], self.scores[kept])


def boxes_of_each_class(
    boxes: Float[np.ndarray, "k 7"],
    probabilities: Float[np.ndarray, "k c"],
    classes: tuple[int, ...],
    *,
    least_score: float = 0.01,
    max_iou: float = 0.5,
) -> FoundBoxes:
    """Each box with each class that it may have; of one class, the more certain suppress others.

    So do FCAF3D (Rukhovich et al., ECCV 2022) and TR3D (Rukhovich et al., ICIP 2023), whose
    classes are independent of each other.

    Args:
        boxes: candidates.
        probabilities: of each class.
        classes: train id of each column of `probabilities`.
        least_score: lower ones are left out.
        max_iou: above it one of two boxes of a class goes.
    """
    found, scores = [np.zeros((0, 8))], [np.zeros(0)]
    for label, of_class in zip(classes, probabilities.T, strict=True):
        rows = np.flatnonzero(of_class >= least_score)
        kept = rows[suppress_boxes(boxes[rows], of_class[rows], max_iou=max_iou)]
        found.append(np.column_stack([boxes[kept], np.full(len(kept), label)]))
        scores.append(of_class[kept])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return FoundBoxes(np.concatenate(found)[order], np.concatenate(scores)[order])


def boxes_with_every_class(
    boxes: Float[np.ndarray, "k 7"],
    objectness: Float[np.ndarray, " k"],
    probabilities: Float[np.ndarray, "k c"],
    classes: tuple[int, ...],
    *,
    least_objectness: float = 0.05,
    max_iou: float = 0.25,
) -> FoundBoxes:
    """Boxes after suppression within their likeliest class, each of them once for every class.

    So does VoteNet (Qi et al., ICCV 2019; `ap_helper.py`): suppression goes by objectness, and the
    score of a box and a class is the objectness times the probability of the class.

    Args:
        boxes: proposals.
        objectness: probability that a proposal is an object.
        probabilities: of each class, of an object.
        classes: train id of each column of `probabilities`.
        least_objectness: boxes must be above it.
        max_iou: above it one of two boxes of a class goes.
    """
    sure = objectness > least_objectness
    columns = (boxes.astype(float), objectness, probabilities)
    boxes, objectness, probabilities = (column[sure] for column in columns)
    ids = np.asarray(classes, float)
    likeliest = ids[probabilities.argmax(axis=1)]
    kept = suppress_boxes(np.column_stack([boxes, likeliest]), objectness, max_iou=max_iou)
    scores = (objectness[kept, None] * probabilities[kept]).ravel()
    found = np.column_stack([boxes[kept].repeat(len(ids), axis=0), np.tile(ids, len(kept))])
    order = np.argsort(-scores, kind="stable")
    return FoundBoxes(found[order], scores[order])
