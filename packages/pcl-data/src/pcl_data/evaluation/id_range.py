"""A check that an array holds ids of a given range."""

import numpy as np


def check_ids(name: str, values: np.ndarray, low: int, high: int | None = None) -> None:
    """Return quietly if `values` is a vector of integers from `low` to `high`, both included.

    Args:
        name: the argument's name, for the message.
        values: the array to check.
        low: smallest id allowed.
        high: largest id allowed; without it there is no upper bound.

    Raises:
        ValueError: if `values` is not one-dimensional, not of integers, or out of range.
    """
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name} must be a vector of integers, got {values.dtype} of shape {values.shape}"
        )
    if values.size == 0:
        return
    smallest, largest = values.min(), values.max()
    if smallest < low or (high is not None and largest > high):
        rule = f"be at least {low}" if high is None else f"lie in [{low}, {high}]"
        raise ValueError(f"{name} must {rule}, got [{smallest}, {largest}]")
