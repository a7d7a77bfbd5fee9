"""Instance scores of S3DIS: coverage, precision and recall by the rules of ASIS.

Wang et al., "Associatively Segmenting Instances and Semantics in Point Clouds", CVPR 2019; the
rules are in its script `eval_iou_accuracy.py`:

- The class of an instance, true or predicted, is the most frequent label of its points (the lowest
  of equally frequent ones). Every class counts, also the uncountable ones.
- The coverage of a true instance is its best IoU with a predicted instance of its class. `mcov`
  takes the mean over the instances of a class in a room, then over the rooms that have any;
  `mwcov` weights the instances of a room by their points.
- A predicted instance is a true positive if its best IoU with a true instance of its class is 0.5
  or more. Two halves of one instance are both: recall can exceed 1, as in the script.
- Precision and recall are over all rooms. All four are then averaged over the classes that have a
  value; the script has none if one class is never predicted.

Points that the truth leaves unlabeled are dropped (S3DIS has hardly any).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from pcl_data.evaluation.class_mean import class_mean
from pcl_data.evaluation.id_range import check_segmentations
from pcl_data.evaluation.score_protocol import Result, ScoreProtocol
from pcl_data.evaluation.segments import overlaps
from pcl_data.label_set import LabelSet


@dataclass(frozen=True)
class ClassCoverage:
    """Scores of one class as fractions: NaN where nothing was there to be counted.

    Attributes:
        cov: mean coverage of the true instances.
        wcov: the same, weighted by points.
        precision: true positives over predicted instances.
        recall: true positives over true instances.
    """

    cov: float
    wcov: float
    precision: float
    recall: float


@dataclass(frozen=True)
class CoverageResult(Result):
    """Scores as fractions, averaged over the classes that have a value.

    Attributes:
        mcov: mean coverage.
        mwcov: mean weighted coverage.
        mprec: mean precision.
        mrec: mean recall.
        per_class: scores of each class, by name.
        protocol: for instance "s3dis13/area5/points"; see `ScoreProtocol`.
    """

    mcov: float
    mwcov: float
    mprec: float
    mrec: float
    per_class: dict[str, ClassCoverage]


class CoverageEvaluator:
    """Coverage, precision and recall of instances, room after room; keeps two numbers a class.

    Args:
        label_set: the classes.
        protocol: how the predictions were made, for the name of the result.

    Example:
        >>> import numpy as np
        >>> from pcl_data.label_set import S3DIS13
        >>> labels, instances = np.zeros(4, np.int64), np.array([0, 0, 0, 1])
        >>> evaluator = CoverageEvaluator(S3DIS13)
        >>> evaluator.update(labels, instances, labels, np.array([0, 0, 1, -1]))
        >>> print(evaluator.compute())
        s3dis13/points: mcov 0.3333, mwcov 0.5000, mprec 0.5000, mrec 0.5000
    """

    def __init__(self, label_set: LabelSet, *, protocol: ScoreProtocol = ScoreProtocol()):
        self.label_set = label_set
        self.protocol = protocol
        n_classes = label_set.n_classes
        self._cov, self._wcov = np.zeros((2, n_classes))  # summed over the rooms with the class
        self._rooms, self._true, self._found, self._truth = np.zeros((4, n_classes), np.int64)

    def update(
        self,
        labels: Int[np.ndarray, " n"],
        instances: Int[np.ndarray, " n"],
        predicted_labels: Int[np.ndarray, " n"],
        predicted_instances: Int[np.ndarray, " n"],
    ) -> None:
        """Add one whole room.

        Args:
            labels: true train ids, -1 = unlabeled.
            instances: true instance ids, -1 = none.
            predicted_labels: predicted train ids, -1 = unknown; they give an instance no class.
            predicted_instances: predicted instance ids, -1 = none.

        Raises:
            ValueError: if the lengths differ or an id is out of range.
        """
        n_classes = self.label_set.n_classes
        check_segmentations(n_classes, labels, instances, predicted_labels, predicted_instances)
        rows = labels >= 0
        truth, truth_class = _instances(labels[rows], instances[rows], n_classes)
        found, found_class = _instances(
            predicted_labels[rows], predicted_instances[rows], n_classes
        )
        pairs = overlaps(truth, found)
        iou = pairs.iou * (truth_class[pairs.truth] == found_class[pairs.predicted])
        cover, precise = np.zeros(len(truth_class)), np.zeros(len(found_class))
        np.maximum.at(cover, pairs.truth, iou)
        np.maximum.at(precise, pairs.predicted, iou)
        self._true += np.bincount(found_class[precise >= 0.5], minlength=n_classes)
        self._found += np.bincount(found_class[found_class >= 0], minlength=n_classes)
        count, points, cov, wcov = (
            np.bincount(truth_class, weights, n_classes)
            for weights in (None, pairs.truth_sizes, cover, cover * pairs.truth_sizes)
        )
        self._truth += count
        self._rooms += count > 0
        self._cov += cov / count.clip(1)
        self._wcov += wcov / points.clip(1)

    def compute(self) -> CoverageResult:
        """Scores of all the rooms so far."""
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: left out
            columns = (
                self._cov / self._rooms,
                self._wcov / self._rooms,
                self._true / self._found,
                self._true / self._truth,
            )
        mcov, mwcov, mprec, mrec = (class_mean(column) for column in columns)
        return CoverageResult(
            mcov=mcov,
            mwcov=mwcov,
            mprec=mprec,
            mrec=mrec,
            per_class={
                name: ClassCoverage(*map(float, row))
                for name, row in zip(self.label_set.names, zip(*columns, strict=True), strict=True)
            },
            protocol=self.protocol.name(self.label_set),
        )


def _instances(
    labels: Int[np.ndarray, " n"], instances: Int[np.ndarray, " n"], n_classes: int
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " s"]]:
    """Number of the instance of each point, -1 = none; class of each, -1 without a label."""
    rows = instances >= 0
    ids, number = np.unique(instances[rows], return_inverse=True)
    key = number * (n_classes + 1) + labels[rows] + 1
    votes = np.bincount(key, minlength=len(ids) * (n_classes + 1)).reshape(-1, n_classes + 1)[:, 1:]
    numbers = np.full(len(labels), -1)
    numbers[rows] = number
    return numbers, np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
