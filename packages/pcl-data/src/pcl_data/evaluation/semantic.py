"""Semantic segmentation scores: class IoU, their mean and the mean class accuracy.

The rules are those of the ScanNet benchmark (Dai et al., CVPR 2017; its script
`evaluate_semantic_label.py`), at points: run it on vertices to compare with published numbers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pcl_data.evaluation.class_mean import class_mean
from pcl_data.evaluation.id_range import check_ids
from pcl_data.label_set import LabelSet


@dataclass(frozen=True, eq=False)
class SemanticResult:
    """Scores as fractions; `protocol` says how they were counted.

    Attributes:
        miou: mean IoU over the classes that have one.
        macc: mean accuracy over the classes in the truth.
        per_class: IoU of each class, by name; NaN for a class neither in the truth nor predicted.
        confusion_matrix: point counts, rows = truth, columns = prediction; the last column holds
            the points predicted as unknown (-1).
        protocol: label set and unit, for instance "scannet20/points".
    """

    miou: float
    macc: float
    per_class: dict[str, float]
    confusion_matrix: Int[np.ndarray, "c columns"]
    protocol: str


class SemanticEvaluator:
    r"""Counts labelled points into a confusion matrix, scene after scene.

    .. math:: \mathrm{IoU}_c = \frac{TP_c}{TP_c + FP_c + FN_c}

    Points labelled -1 are left out. A labelled point predicted as -1 is a false negative of its
    class and nobody's false positive. A class without a single point in the truth scores 0 if it
    was predicted on a labelled point, and NaN (left out of the mean) if it was not.

    Args:
        label_set: the classes.

    Example:
        >>> import numpy as np
        >>> from pcl_data.label_set import SCANNET20
        >>> evaluator = SemanticEvaluator(SCANNET20)
        >>> evaluator.update(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]))
        >>> evaluator.compute().miou
        0.5
    """

    def __init__(self, label_set: LabelSet):
        self.label_set = label_set
        self._confusion = np.zeros((label_set.n_classes, label_set.n_classes + 1), dtype=np.int64)

    def update(self, labels: Int[np.ndarray, " n"], predictions: Int[np.ndarray, " n"]) -> None:
        """Add the points of one scene, or of a part of one.

        Args:
            labels: true train ids, -1 = unlabelled.
            predictions: predicted train ids, -1 = unknown.

        Raises:
            ValueError: if the lengths differ, or an id is not in [-1, n_classes - 1].
        """
        n_classes = self.label_set.n_classes
        check_ids("labels", labels, -1, n_classes - 1)
        check_ids("predictions", predictions, -1, n_classes - 1)
        if len(predictions) != len(labels):
            raise ValueError(
                f"predictions must be as many as labels ({len(labels)}), got {len(predictions)}"
            )
        is_labelled = labels >= 0
        row = labels[is_labelled].astype(np.int64)
        column = predictions[is_labelled].astype(np.int64)
        column[column < 0] = n_classes
        counts = np.bincount(row * (n_classes + 1) + column, minlength=self._confusion.size)
        self._confusion += counts.reshape(self._confusion.shape)

    def compute(self) -> SemanticResult:
        """Scores of all the points so far; every score is NaN before the first labelled point."""
        confusion = self._confusion.copy()
        hits = confusion.diagonal()
        in_truth = confusion.sum(axis=1)
        in_either = in_truth + confusion[:, :-1].sum(axis=0) - hits
        iou = _fraction(hits, in_either)
        return SemanticResult(
            miou=class_mean(iou),
            macc=class_mean(_fraction(hits, in_truth)),
            per_class=dict(zip(self.label_set.names, iou.tolist(), strict=True)),
            confusion_matrix=confusion,
            protocol=f"{self.label_set.name}/points",
        )


def _fraction(part: Int[np.ndarray, " c"], whole: Int[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    """Quotient, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
