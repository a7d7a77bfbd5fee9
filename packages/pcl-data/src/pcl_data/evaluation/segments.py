"""Segments: sets of points that share a class and an id, and how two divisions overlap."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int, Int64


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Segments of truth and prediction, and the pairs of them that share points.

    Attributes:
        truth_sizes: points of each true segment.
        sizes: points of each predicted segment.
        truth: the true segment of each pair.
        predicted: the predicted segment of each pair.
        iou: points that are in both segments of a pair over those in either.
    """

    truth_sizes: Int64[np.ndarray, " t"]
    sizes: Int64[np.ndarray, " s"]
    truth: Int64[np.ndarray, " pairs"]
    predicted: Int64[np.ndarray, " pairs"]
    iou: Float64[np.ndarray, " pairs"]


def number_segments(
    labels: Int[np.ndarray, " n"], instances: Int[np.ndarray, " n"], n_classes: int
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " s"]]:
    """The segment 0, 1, ... of each point, and the class of each segment.

    The segments of a class come in the order of their ids.

    Args:
        labels: train ids, from 0.
        instances: any ids; equal ids of two classes are two segments.
        n_classes: number of train ids.
    """
    _, number = np.unique(instances, return_inverse=True)
    key = number * n_classes + labels
    present = np.bincount(key) > 0
    segment = (np.cumsum(present) - 1)[key]
    return segment, np.flatnonzero(present) % n_classes


def overlaps(truth: Int64[np.ndarray, " n"], predicted: Int64[np.ndarray, " n"]) -> Overlaps:
    """Sizes of the segments of two divisions, and the IoU of those that meet.

    Args:
        truth: the true segment of each point, -1 = none.
        predicted: the predicted one, -1 = none.
    """
    truth_sizes, sizes = (np.bincount(x[x >= 0]) for x in (truth, predicted))
    both = (truth >= 0) & (predicted >= 0)
    pairs, shared = np.unique(truth[both] * len(sizes) + predicted[both], return_counts=True)
    row, column = np.divmod(pairs, len(sizes))
    iou = shared / (truth_sizes[row] + sizes[column] - shared)
    return Overlaps(truth_sizes, sizes, row, column, iou)
