"""How sure a network is of its classes, against how often it is right, a sample a point.

The signed error is that of Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance
Segmentation", 2024, Eq. 4.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from pcl_calibration import ClassCalibrationError, draw_reliability, expected_calibration_error
from pcl_data import LabelSet
from pcl_data.atomic_files import whole_file
from pcl_methods.segmentation.inference import Classes


def count_points(table: ClassCalibrationError, labels: np.ndarray, found: Classes) -> None:
    """Count the labeled points of a scene.

    Args:
        table: takes them.
        labels: (n,) true classes, -1 not annotated.
        found: what the network says of the same points.
    """
    predicted = np.where(labels >= 0, found.labels, -1).astype(np.int64)
    confidence = np.clip(found.confidence.astype(np.float32), 0, 1)
    columns = (predicted, confidence, labels == found.labels)
    table.update_matches(*(torch.from_numpy(column) for column in columns))


def calibration_scores(table: ClassCalibrationError, label_set: LabelSet) -> dict[str, Any]:
    """`ece`, the expected calibration error, and `calibration`, a row for each predicted class.

    A row has the class, the number of points that have it predicted, their accuracy, their mean
    confidence, and the error: the first minus the second, below 0 for an overconfident class.
    """
    sums = (table.counts, table.correct, table.confidences)
    counts, correct, confidences = (one.sum(dim=1).tolist() for one in sums)
    rows = [
        {
            "class": name,
            "points": counts[c],
            "accuracy": correct[c] / counts[c],
            "confidence": confidences[c] / counts[c],
            "error": (correct[c] - confidences[c]) / counts[c],
        }
        for c, name in enumerate(label_set.names)
        if counts[c]
    ]
    return {"ece": expected_calibration_error(table), "calibration": rows}


def save_table(table: ClassCalibrationError, path: Path) -> None:
    """Write a table, from which every error can be read again, as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(save(table.state_dict()))


def load_table(path: Path, n_classes: int) -> ClassCalibrationError:
    """A table of `save_table`.

    Raises:
        ValueError: if it is of other classes.
    """
    table = ClassCalibrationError(n_classes)
    table.load_state_dict(load_file(path))
    return table


def draw_calibration(
    table: ClassCalibrationError, label_set: LabelSet, path: Path, *, each_class: bool
) -> None:
    """Write the reliability diagram of all points, or one for each predicted class, as PNG.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    predicted = table.counts.sum(dim=1).nonzero()[:, 0].tolist()
    classes = predicted if each_class else None
    figure = draw_reliability(table, classes=classes, names=label_set.names)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
