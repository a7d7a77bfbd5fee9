"""Predicted probabilities beside true labels: refused where they are none, read in chunks.

What a table counts is checked on every device and to the last digits, as a value outside [0, 1]
would land in another cell; `probability_values` checks what a loss takes, and costs a GPU nothing.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

IGNORE_INDEX = -1
# Entries looked at together: they and what is computed from them stay in the cache of a core.
CHUNK_ENTRIES = 2**19


def prediction_chunks(probabilities: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows that have a label, with their labels, a part of them at a time.

    Nothing is yielded before all of it is found right, so that what is summed over the chunks is
    all of a batch or nothing of it.

    Args:
        probabilities: (n, c), of any floating type, on any device.
        labels: (n,), -1 for a row that is skipped, whatever it holds.

    Yields:
        (m, c) probabilities and (m,) labels in [0, c), on the device of the probabilities.

    Raises:
        ValueError: if there are fewer than two classes, a label lies outside [-1, c), or the
            probabilities of a labeled row leave [0, 1] or do not sum to one.

    Example:
        >>> rows = torch.tensor([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0]])
        >>> for probabilities, labels in prediction_chunks(rows, torch.tensor([1, -1, 0])):
        ...     print(probabilities.tolist(), labels.tolist())
        [[0.5, 0.5], [1.0, 0.0]] [1, 0]
    """
    if (n_classes := probabilities.shape[1]) < 2:
        raise ValueError(f"probabilities must have at least 2 classes, got {n_classes}")
    check_labels(n_classes, labels=labels)
    for chunk, _ in _labeled_chunks(probabilities, labels):
        _check_distributions(chunk)
    yield from _labeled_chunks(probabilities, labels)


def check_labels(n_classes: int, **labels: Tensor) -> None:
    """Return quietly if the labels, by their names, are -1 or classes.

    Raises:
        ValueError: naming the first ones that are not.
    """
    for name, values in labels.items():
        if values.numel():
            low, high = (int(value) for value in values.aminmax())
            if low < IGNORE_INDEX or high >= n_classes:
                raise ValueError(
                    f"{name} must lie in [0, {n_classes}) or be -1 (ignored), got [{low}, {high}]"
                )


def check_fractions(**fractions: Tensor) -> None:
    """Return quietly if the values, by their names, lie in [0, 1], but for rounding above one.

    Raises:
        ValueError: naming the first ones that do not.
    """
    for name, values in fractions.items():
        if values.numel():
            low, high = (float(value) for value in values.detach().aminmax())  # NaN if one is
            if not (low >= 0 and high <= 1 + 4 * torch.finfo(values.dtype).eps):
                raise ValueError(f"{name} must lie in [0, 1], got [{low:g}, {high:g}]")


def _labeled_chunks(probabilities: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    rows = max(1, CHUNK_ENTRIES // probabilities.shape[1])
    for chunk, of_chunk in zip(
        probabilities.detach().split(rows), labels.to(probabilities.device).split(rows), strict=True
    ):
        has_label = of_chunk != IGNORE_INDEX
        if has_label.all():
            yield chunk, of_chunk.long()
        else:
            yield chunk[has_label], of_chunk[has_label].long()


def _check_distributions(probabilities: Tensor) -> None:
    check_fractions(probabilities=probabilities)
    # A sum of rounded terms is as wrong as one term may be, in relation to it.
    tolerance = max(1e-3, torch.finfo(probabilities.dtype).eps)
    off = (probabilities.sum(dim=1, dtype=torch.float32) - 1).abs()
    if (off > tolerance).any():
        row = int(off.argmax())
        raise ValueError(
            f"probabilities must sum to one in each row, got {probabilities[row].sum():g}"
        )
