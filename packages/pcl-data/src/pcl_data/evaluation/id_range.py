"""Checks of what is given to an evaluator: ids in range, equal lengths, whole predictions."""

from collections.abc import Sequence

import numpy as np


def check_ids(name: str, values: np.ndarray, low: int, high: int | None = None) -> None:
    """Return quietly if `values` is a vector of integers from `low` to `high`, both included.

    Args:
        name: the argument's name, for the message.
        values: the array to check.
        low: smallest id allowed.
        high: largest id allowed; without it there is no upper bound.

    Raises:
        ValueError: if `values` is not one-dimensional, not of integers that int64 holds, or out of
            range.
    """
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name} must be a vector of integers, got {values.dtype} of shape {values.shape}"
        )
    if not np.can_cast(values.dtype, np.int64):  # with int64 it would become float64
        raise ValueError(f"{name} must be of a type that int64 holds, got {values.dtype}")
    if values.size == 0:
        return
    smallest, largest = values.min(), values.max()
    if smallest < low or (high is not None and largest > high):
        rule = f"be at least {low}" if high is None else f"lie in [{low}, {high}]"
        raise ValueError(f"{name} must {rule}, got [{smallest}, {largest}]")


def check_equally_long(**arrays: np.ndarray) -> None:
    """Return quietly if the arrays, by their names, are as long as the first of them.

    Raises:
        ValueError: naming the first one that is not.
    """
    (reference, first), *others = arrays.items()
    for name, array in others:
        if len(array) != len(first):
            raise ValueError(
                f"{name} must be as many as {reference} ({len(first)}), got {len(array)}"
            )


def check_predictions(
    n_classes: int,
    masks: np.ndarray | Sequence[np.ndarray],
    mask_labels: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Return quietly if each predicted instance has a mask, a class and a finite score.

    Raises:
        ValueError: if they are not equally many, a class is out of range or a score not finite.
    """
    check_ids("mask_labels", mask_labels, 0, n_classes - 1)
    if not len(masks) == len(mask_labels) == len(scores):
        raise ValueError(
            "masks, mask_labels and scores must be equally many, "
            f"got {len(masks)}, {len(mask_labels)} and {len(scores)}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")


def check_segmentations(
    n_classes: int,
    labels: np.ndarray,
    instances: np.ndarray,
    predicted_labels: np.ndarray,
    predicted_instances: np.ndarray,
) -> None:
    """Return quietly if these are labels and instance ids of the same points, -1 where unknown.

    Raises:
        ValueError: if the lengths differ or an id is out of range.
    """
    check_ids("labels", labels, -1, n_classes - 1)
    check_ids("instances", instances, -1)
    check_ids("predicted_labels", predicted_labels, -1, n_classes - 1)
    check_ids("predicted_instances", predicted_instances, -1)
    check_equally_long(
        labels=labels,
        instances=instances,
        predicted_labels=predicted_labels,
        predicted_instances=predicted_instances,
    )
