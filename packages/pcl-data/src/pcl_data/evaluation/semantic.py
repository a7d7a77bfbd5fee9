"""Semantic segmentation scores: class IoU, their mean and the mean class accuracy.

The rules are those of three benchmarks, at points: run it on vertices, or on every point of a
sweep, to compare with published numbers.

- ScanNet (Dai et al., CVPR 2017; its script `evaluate_semantic_label.py`): exactly.
- SemanticKITTI (Behley et al., ICCV 2019; `np_ioueval.py`): only points that the truth ignores are
  left out, and predicting the ignored class on another point is a miss: the same. Its mean counts a
  class that is neither in the truth nor predicted as 0, where we leave it out; in the official
  validation sequence every class occurs.
- nuScenes-lidarseg (Caesar et al., CVPR 2020; `lidarseg/utils.py`): the row and the column of the
  ignored class are dropped, so that points predicted as ignored would not count at all; but the
  script refuses such predictions. Where every point is predicted the scores are the same.

None of them limits the range of the points.

Where the label set says how frequent its classes are, the IoU is also averaged over the head, the
common and the tail classes (`class_mean.frequency_means`), as in the ScanNet benchmark of 200.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pcl_data.evaluation.class_mean import class_mean, frequency_means
from pcl_data.evaluation.id_range import check_equally_long, check_ids
from pcl_data.evaluation.score_protocol import Result, ScoreProtocol
from pcl_data.label_set import LabelSet


@dataclass(frozen=True, eq=False)
class SemanticResult(Result):
    """Scores as fractions; `protocol` says how they were counted.

    Attributes:
        miou: mean IoU over the classes that have one.
        macc: mean accuracy over the classes in the truth.
        per_class: IoU of each class, by name; NaN for a class neither in the truth nor predicted.
        by_frequency: `miou_head`, `miou_common`, `miou_tail`: mean IoU over the classes of each
            frequency that have one; empty where the label set has no frequencies.
        confusion_matrix: point counts, rows = truth, columns = prediction; the last column holds
            the points predicted as unknown (-1).
        protocol: for instance "scannet20/val/points/no-tta"; see `ScoreProtocol`.
    """

    miou: float
    macc: float
    per_class: dict[str, float]
    by_frequency: dict[str, float]
    confusion_matrix: Int[np.ndarray, "c columns"]


class SemanticEvaluator:
    r"""Counts labeled points into a confusion matrix, scene after scene.

    .. math:: \mathrm{IoU}_c = \frac{TP_c}{TP_c + FP_c + FN_c}

    Points labeled -1 are left out. A labeled point predicted as -1 is a false negative of its
    class and nobody's false positive. A class without a single point in the truth scores 0 if it
    was predicted on a labeled point, and NaN (left out of the mean) if it was not.

    Args:
        label_set: the classes.
        protocol: how the predictions were made, for the name of the result.

    Example:
        >>> import numpy as np
        >>> from pcl_data.label_set import SCANNET20
        >>> evaluator = SemanticEvaluator(SCANNET20)
        >>> evaluator.update(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]))
        >>> evaluator.compute().miou
        0.5
        >>> print(evaluator.compute())
        scannet20/points: miou 0.5000, macc 0.7500
    """

    def __init__(self, label_set: LabelSet, *, protocol: ScoreProtocol = ScoreProtocol()):
        self.label_set = label_set
        self.protocol = protocol
        self._confusion = np.zeros((label_set.n_classes, label_set.n_classes + 1), dtype=np.int64)

    def update(self, labels: Int[np.ndarray, " n"], predictions: Int[np.ndarray, " n"]) -> None:
        """Add the points of one scene, or of a part of one.

        Args:
            labels: true train ids, -1 = unlabeled.
            predictions: predicted train ids, -1 = unknown.

        Raises:
            ValueError: if the lengths differ, or an id is not in [-1, n_classes - 1].
        """
        n_classes = self.label_set.n_classes
        check_ids("labels", labels, -1, n_classes - 1)
        check_ids("predictions", predictions, -1, n_classes - 1)
        check_equally_long(labels=labels, predictions=predictions)
        is_labeled = labels >= 0
        row = labels[is_labeled].astype(np.int64)
        column = predictions[is_labeled].astype(np.int64)
        column[column < 0] = n_classes
        counts = np.bincount(row * (n_classes + 1) + column, minlength=self._confusion.size)
        self._confusion += counts.reshape(self._confusion.shape)

    def compute(self) -> SemanticResult:
        """Scores of all the points so far; every score is NaN before the first labeled point."""
        confusion = self._confusion.copy()
        hits = confusion.diagonal()
        in_truth = confusion.sum(axis=1)
        in_either = in_truth + confusion[:, :-1].sum(axis=0) - hits
        iou = _fraction(hits, in_either)
        return SemanticResult(
            miou=class_mean(iou),
            macc=class_mean(_fraction(hits, in_truth)),
            per_class=dict(zip(self.label_set.names, iou.tolist(), strict=True)),
            by_frequency=frequency_means({"miou": iou}, self.label_set.frequency),
            confusion_matrix=confusion,
            protocol=self.protocol.name(self.label_set),
        )


def _fraction(part: Int[np.ndarray, " c"], whole: Int[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    """Quotient, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
