"""Detection scores: mean average precision (mAP) of 3D boxes by the rules of VoteNet.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds", ICCV 2019; the rules are in
its scripts `eval_det.py` and `box_util.py`, which ScanNet and SUN RGB-D detection share:

- Detections of a class are taken from the best score down, over all scenes.
- Each is held against the true box of its class and scene with which its IoU is the highest. It is
  a true positive if that IoU is strictly greater than the overlap and it is the first to hit that
  box, and a false positive otherwise.
- AP is the area under the precision envelope over recall, at every detection (PASCAL VOC 2010).
- The mean leaves out classes that are not in the truth.
"""

from dataclasses import astuple, dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int64

from pcl_data.evaluation.box_overlap import box_iou, check_scores, checked_boxes
from pcl_data.evaluation.class_mean import class_mean
from pcl_data.evaluation.score_protocol import Result, ScoreProtocol
from pcl_data.label_set import LabelSet


@dataclass(frozen=True)
class ClassDetection:
    """Scores of one class, as fractions; NaN if the class is not in the truth.

    Attributes:
        ap25: average precision at overlap 0.25.
        ap50: average precision at overlap 0.5.
        recall25: share of the true boxes that any detection hits at overlap 0.25.
        recall50: the same at overlap 0.5.
    """

    ap25: float
    ap50: float
    recall25: float
    recall50: float


@dataclass(frozen=True)
class DetectionResult(Result):
    """Scores as fractions, averaged over the classes in the truth; NaN if there are none.

    Attributes:
        map25: mean average precision at overlap 0.25.
        map50: the same at overlap 0.5.
        recall25: mean recall at overlap 0.25, VoteNet's "AR".
        recall50: the same at overlap 0.5.
        per_class: scores of each countable class, by name.
        protocol: for instance "sunrgbd10/val/boxes"; see `ScoreProtocol`.
    """

    map25: float
    map50: float
    recall25: float
    recall50: float
    per_class: dict[str, ClassDetection]


@dataclass(frozen=True, eq=False)
class _ClassInScene:
    """Detections of one class in one scene, reduced to what any overlap needs."""

    n_truth: int
    scores: Float64[np.ndarray, " m"]
    iou: Float64[np.ndarray, " m"]  # with the true box that is the closest
    target: Int64[np.ndarray, " m"]  # that box; 0 where there is none, with IoU 0


class DetectionEvaluator:
    """Mean average precision of boxes, scene after scene; keeps three numbers a detection.

    Args:
        label_set: the classes; `label_set.things` are the ones scored.
        protocol: how the predictions were made, for the name of the result; its unit is boxes.

    Example:
        >>> import numpy as np
        >>> from pcl_data.label_set import SUNRGBD10
        >>> truth = np.array([[0.0, 0, 0, 2, 1, 1, 0, 3], [5, 0, 0, 2, 1, 1, 0, 3]])
        >>> evaluator = DetectionEvaluator(SUNRGBD10)
        >>> evaluator.update(
        ...     truth, truth[:1] + [[0.1, 0, 0, 0, 0, 0, 0, 0]], np.array([0.9])
        ... )
        >>> print(evaluator.compute())
        sunrgbd10/boxes: map25 0.5000, map50 0.5000, recall25 0.5000, recall50 0.5000
    """

    def __init__(self, label_set: LabelSet, *, protocol: ScoreProtocol = ScoreProtocol()):
        self.label_set = label_set
        self.protocol = replace(protocol, unit="boxes")
        self._scenes: dict[int, list[_ClassInScene]] = {c: [] for c in label_set.things}

    def update(
        self,
        boxes: Float[np.ndarray, "k 8"],
        predicted: Float[np.ndarray, "m 8"],
        scores: Float[np.ndarray, " m"],
    ) -> None:
        """Add one whole scene. Boxes of uncountable classes (wall, floor) are left out.

        Args:
            boxes: true boxes: centre, full sizes (metres), heading (radians), train id.
            predicted: the same for the detections, after suppression (`suppress_boxes`). VoteNet
                enters each box once for every class, with the score of that class.
            scores: confidences; only their order matters. Equal ones count in the order given.

        Raises:
            ValueError: if a shape is wrong, a value is not finite, a size is negative, or the last
                column does not hold train ids of the label set.
        """
        boxes, labels = self._checked("boxes", boxes)
        predicted, predicted_labels = self._checked("predicted", predicted)
        check_scores(scores, len(predicted))
        for label, scenes in self._scenes.items():
            truth, rows = boxes[labels == label], predicted_labels == label
            if len(truth) or rows.any():
                scenes.append(_class_in_scene(truth, predicted[rows], scores[rows]))

    def compute(self) -> DetectionResult:
        """Scores of all the scenes so far."""
        per_class = {self.label_set.names[c]: _score(s) for c, s in self._scenes.items()}
        table = np.array([astuple(row) for row in per_class.values()]).reshape(-1, 4)
        map25, map50, recall25, recall50 = (class_mean(column) for column in table.T)
        return DetectionResult(
            map25=map25,
            map50=map50,
            recall25=recall25,
            recall50=recall50,
            per_class=per_class,
            protocol=self.protocol.name(self.label_set),
        )

    def _checked(
        self, name: str, boxes: np.ndarray
    ) -> tuple[Float64[np.ndarray, "k 8"], Int64[np.ndarray, " k"]]:
        if boxes.shape[1:] != (8,):
            raise ValueError(f"{name} must have shape (k, 8), got {boxes.shape}")
        boxes = checked_boxes(name, boxes)
        labels, n_classes = boxes[:, 7], self.label_set.n_classes
        is_wrong = (labels < 0) | (labels >= n_classes) | (labels % 1 != 0)
        if is_wrong.any():
            raise ValueError(
                f"{name} must have train ids in [0, {n_classes}) in column 7, "
                f"got {labels[is_wrong][0]:g}"
            )
        return boxes, labels.astype(np.int64)


def _class_in_scene(
    truth: Float64[np.ndarray, "k 8"],
    predicted: Float64[np.ndarray, "m 8"],
    scores: Float[np.ndarray, " m"],
) -> _ClassInScene:
    if len(truth) == 0:
        nothing = np.zeros(len(scores))
        return _ClassInScene(0, scores.astype(np.float64), nothing, nothing.astype(np.int64))
    iou = box_iou(predicted, truth)
    return _ClassInScene(len(truth), scores.astype(np.float64), iou.max(axis=1), iou.argmax(axis=1))


def _score(scenes: list[_ClassInScene]) -> ClassDetection:
    """AP and recall of one class: NaN without a true box, 0 without a detection."""
    n_truth = np.array([scene.n_truth for scene in scenes], np.int64)
    if n_truth.sum() == 0:
        nan = float("nan")
        return ClassDetection(nan, nan, nan, nan)
    offset = np.cumsum(n_truth) - n_truth
    target = np.concatenate([s.target + o for s, o in zip(scenes, offset, strict=True)])
    scores, iou = (np.concatenate([getattr(s, key) for s in scenes]) for key in ("scores", "iou"))
    order = np.argsort(-scores, kind="stable")
    (ap25, recall25), (ap50, recall50) = (
        _curve(iou[order] > overlap, target[order], int(n_truth.sum())) for overlap in (0.25, 0.5)
    )
    return ClassDetection(ap25, ap50, recall25, recall50)


def _curve(
    is_hit: np.ndarray, target: Int64[np.ndarray, " m"], n_truth: int
) -> tuple[float, float]:
    """Average precision, and recall of all the detections, which come best first."""
    hits = np.flatnonzero(is_hit)
    _, first = np.unique(target[hits], return_index=True)
    is_true = np.zeros(len(target), bool)
    is_true[hits[first]] = True
    precision = np.cumsum(is_true) / np.arange(1, len(target) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[is_true].sum() / n_truth), len(first) / n_truth
