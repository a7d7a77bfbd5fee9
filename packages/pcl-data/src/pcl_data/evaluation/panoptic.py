"""Panoptic segmentation scores: panoptic quality (PQ) by the rules of SemanticKITTI.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, Eq. 1; Behley et al., "A Benchmark for
LiDAR-based Panoptic Segmentation based on KITTI", ICRA 2021; the rules are those of the scripts
`eval_np.py` and `evaluate_panoptic.py` of semantic-kitti-api:

- Points that the truth leaves unlabeled are dropped before anything is counted.
- A *segment* of a countable class is the points that share class and instance id; those without an
  id (-1) are one more segment. An uncountable class is one segment.
- A true and a predicted segment of one class match, and are a true positive, if their IoU is
  strictly greater than 0.5; there is at most one such pair for each.
- A segment without a match is a false negative or positive if it has `min_points` points or more.

The scripts would split an uncountable class where a prediction gives it instance ids; ids of such
classes are not read here, as in the paper. They count a class that is neither in the truth nor
predicted as 0, where we leave it out of the means.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int, Int64

from pcl_data.evaluation.class_mean import class_mean
from pcl_data.evaluation.id_range import check_segmentations
from pcl_data.evaluation.score_protocol import Result, ScoreProtocol
from pcl_data.evaluation.segments import number_segments, overlaps
from pcl_data.evaluation.semantic import SemanticEvaluator
from pcl_data.label_set import LabelSet


@dataclass(frozen=True)
class PanopticScores:
    r"""Scores of one class, or their means over several, as fractions.

    .. math:: \mathrm{PQ} = \mathrm{SQ} \cdot \mathrm{RQ}, \quad
        \mathrm{SQ} = \frac{\sum_{TP} \mathrm{IoU}}{TP}, \quad
        \mathrm{RQ} = \frac{TP}{TP + FP / 2 + FN / 2}

    Attributes:
        pq: panoptic quality; NaN without a segment that counts.
        sq: segmentation quality; 0 without a match.
        rq: recognition quality.
        iou: IoU of the points, as `SemanticEvaluator` counts it.
    """

    pq: float
    sq: float
    rq: float
    iou: float


@dataclass(frozen=True)
class PanopticResult(Result):
    """Scores as fractions; means are over the classes that have a value.

    Attributes:
        pq: mean panoptic quality.
        pq_dagger: the same with the IoU in the place of the PQ of uncountable classes (Porzi et
            al., "Seamless Scene Segmentation", CVPR 2019).
        sq: mean segmentation quality.
        rq: mean recognition quality.
        miou: mean IoU.
        things: means over the countable classes.
        stuff: means over the others.
        per_class: scores of each class, by name.
        protocol: for instance "semantickitti19/val/points/min_points=50"; see `ScoreProtocol`.
    """

    pq: float
    pq_dagger: float
    sq: float
    rq: float
    miou: float
    things: PanopticScores
    stuff: PanopticScores
    per_class: dict[str, PanopticScores]


class PanopticEvaluator:
    """Panoptic quality, scene after scene; keeps a few counts a class.

    Args:
        label_set: the classes, countable or not.
        min_points: points below which a segment without a match does not count. The benchmark
            uses 50.
        protocol: how the predictions were made, for the name of the result.

    Raises:
        ValueError: if `min_points` is below 1.

    Example:
        >>> import numpy as np
        >>> from pcl_data.label_set import SEMANTICKITTI19
        >>> car, road = (SEMANTICKITTI19.names.index(name) for name in ("car", "road"))
        >>> labels, instances = np.array([car, car, car, road]), np.array([1, 1, 2, -1])
        >>> evaluator = PanopticEvaluator(SEMANTICKITTI19, min_points=1)
        >>> evaluator.update(labels, instances, labels, np.array([5, 5, 5, -1]))
        >>> print(evaluator.compute().per_class["car"].rq)  # one match, one missed
        0.6666666666666666
    """

    def __init__(
        self,
        label_set: LabelSet,
        *,
        min_points: int = 50,
        protocol: ScoreProtocol = ScoreProtocol(),
    ):
        if min_points < 1:
            raise ValueError(f"min_points must be at least 1, got {min_points}")
        self.label_set = label_set
        self.min_points = min_points
        self.protocol = protocol
        self._semantic = SemanticEvaluator(label_set)
        self._is_stuff = np.array(label_set.is_stuff)
        self._iou = np.zeros(label_set.n_classes)  # summed over the matches
        self._true, self._false, self._missed = np.zeros((3, label_set.n_classes), np.int64)

    def update(
        self,
        labels: Int[np.ndarray, " n"],
        instances: Int[np.ndarray, " n"],
        predicted_labels: Int[np.ndarray, " n"],
        predicted_instances: Int[np.ndarray, " n"],
    ) -> None:
        """Add one whole scene.

        Args:
            labels: true train ids, -1 = unlabeled.
            instances: true instance ids, -1 = none.
            predicted_labels: predicted train ids, -1 = unknown: in no segment.
            predicted_instances: predicted instance ids, -1 = none.

        Raises:
            ValueError: if the lengths differ or an id is out of range.
        """
        check_segmentations(
            self.label_set.n_classes, labels, instances, predicted_labels, predicted_instances
        )
        self._semantic.update(labels, predicted_labels)
        rows = labels >= 0
        truth, truth_class = self._segments(labels[rows], instances[rows])
        found, found_class = self._segments(predicted_labels[rows], predicted_instances[rows])
        pairs = overlaps(truth, found)
        is_match = (pairs.iou > 0.5) & (truth_class[pairs.truth] == found_class[pairs.predicted])
        classes = truth_class[pairs.truth[is_match]]
        np.add.at(self._iou, classes, pairs.iou[is_match])
        np.add.at(self._true, classes, 1)
        for count, owner, sizes, matched in (
            (self._missed, truth_class, pairs.truth_sizes, pairs.truth[is_match]),
            (self._false, found_class, pairs.sizes, pairs.predicted[is_match]),
        ):
            counts = sizes >= self.min_points
            counts[matched] = False
            np.add.at(count, owner[counts], 1)

    def compute(self) -> PanopticResult:
        """Scores of all the scenes so far."""
        weight = self._true + self._false / 2 + self._missed / 2
        rq = np.divide(self._true, weight, out=np.full(len(weight), np.nan), where=weight > 0)
        sq = np.where(weight > 0, self._iou / self._true.clip(1), np.nan)
        semantic = self._semantic.compute()
        iou = np.array(list(semantic.per_class.values()))
        table = np.stack([sq * rq, sq, rq, iou], axis=1)
        mean = _mean_scores(table)
        return PanopticResult(
            pq=mean.pq,
            pq_dagger=class_mean(np.where(self._is_stuff, iou, sq * rq)),
            sq=mean.sq,
            rq=mean.rq,
            miou=mean.iou,
            things=_mean_scores(table[~self._is_stuff]),
            stuff=_mean_scores(table[self._is_stuff]),
            per_class={
                name: PanopticScores(*row.tolist())
                for name, row in zip(self.label_set.names, table, strict=True)
            },
            protocol=self.protocol.name(self.label_set, f"min_points={self.min_points}"),
        )

    def _segments(
        self, labels: Int[np.ndarray, " n"], instances: Int[np.ndarray, " n"]
    ) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " s"]]:
        """Segment of each point, -1 where the label is; class of each segment."""
        rows = labels >= 0
        ids = np.where(self._is_stuff[labels], -1, instances)[rows]
        segment = np.full(len(labels), -1)
        segment[rows], classes = number_segments(labels[rows], ids, self.label_set.n_classes)
        return segment, classes


def _mean_scores(table: Float64[np.ndarray, "c 4"]) -> PanopticScores:
    return PanopticScores(*(class_mean(column) for column in table.T))
