"""Instance segmentation scores: average precision (AP) by the rules of the ScanNet benchmark.

Dai et al., "ScanNet: Richly-annotated 3D Reconstructions of Indoor Scenes", CVPR 2017; the rules
are in the benchmark's script `evaluate_semantic_instance.py`, not in the paper:

- An *instance* is the set of points that share a countable class and an instance id. All other
  points (unlabeled, wall, floor, no instance id) are *void*.
- Predictions under `min_region` points do not take part. Instances under `min_region` points need
  not be found.
- A prediction *hits* an instance of its class if their IoU is strictly greater than the overlap.
- Instances choose in the order of their ids. Of the hits of an instance that are still free, the
  first one is taken, the best score becomes a true positive and the others false positives.
- A prediction that hits nothing is a false positive, unless more than the overlap's share of it
  lies on void or on instances of its class that are too small.
- AP is the area under precision over recall, by central differences of recall at every distinct
  score, with the point (precision 1, recall 0) added.
- AP averages the overlaps 0.50, 0.55, ..., 0.90. The script stops before 0.95.

Where the label set says how frequent its classes are, each score is also averaged over the head,
the common and the tail classes (`class_mean.frequency_means`), as in the benchmark of 200 classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pcl_data.evaluation.class_mean import class_mean, frequency_means
from pcl_data.evaluation.id_range import check_equally_long, check_ids, check_predictions
from pcl_data.evaluation.score_protocol import Result, ScoreProtocol
from pcl_data.evaluation.segments import number_segments
from pcl_data.label_set import LabelSet

OVERLAPS = (*np.arange(0.5, 0.95, 0.05).tolist(), 0.25)  # AP averages all but the last


@dataclass(frozen=True)
class ClassAP:
    """Average precision of one class, as fractions; NaN if the class is not in the truth."""

    ap: float
    ap50: float
    ap25: float


@dataclass(frozen=True)
class InstanceResult(Result):
    """Scores as fractions, averaged over the classes in the truth; NaN if there are none.

    Attributes:
        ap: mean over classes and the overlaps 0.50, 0.55, ..., 0.90.
        ap50: at overlap 0.50.
        ap25: at overlap 0.25.
        per_class: the same three for each countable class, by name.
        by_frequency: the same three over the classes of each frequency: `ap_head`, `ap_common`,
            `ap_tail`, `ap50_head` and so on; empty where the label set has no frequencies.
        protocol: for instance "scannet20/val/points/min_region=100"; see `ScoreProtocol`.
    """

    ap: float
    ap50: float
    ap25: float
    per_class: dict[str, ClassAP]
    by_frequency: dict[str, float]


@dataclass(frozen=True, eq=False)
class _ClassInScene:
    """One class of one scene, reduced to what matching needs at any overlap."""

    scores: Float[np.ndarray, " p"]
    ignorable: Float[np.ndarray, " p"]  # share on void or on too small instances
    iou: Float[np.ndarray, "g p"]  # with the instances that are large enough


class InstanceEvaluator:
    """ScanNet average precision, scene after scene; keeps a few small tables for each scene.

    Args:
        label_set: the classes; `label_set.things` are the ones scored.
        min_region: points below which predictions and instances do not count. The benchmark uses
            100, on mesh vertices.
        protocol: how the predictions were made, for the name of the result.

    Raises:
        ValueError: if `min_region` is below 1.

    Example:
        >>> import numpy as np
        >>> from pcl_data.label_set import SCANNET20
        >>> chair = SCANNET20.names.index("chair")
        >>> evaluator = InstanceEvaluator(SCANNET20, min_region=2)
        >>> evaluator.update(
        ...     labels=np.full(4, chair),
        ...     instances=np.array([0, 0, 1, 1]),
        ...     masks=[np.array([0, 1])],
        ...     mask_labels=np.array([chair]),
        ...     scores=np.array([0.9]),
        ... )
        >>> evaluator.compute().ap50
        0.5
    """

    def __init__(
        self,
        label_set: LabelSet,
        *,
        min_region: int = 100,
        protocol: ScoreProtocol = ScoreProtocol(),
    ):
        if min_region < 1:
            raise ValueError(f"min_region must be at least 1, got {min_region}")
        self.label_set = label_set
        self.min_region = min_region
        self.protocol = protocol
        self._is_thing = np.zeros(label_set.n_classes + 1, dtype=bool)  # last one: label -1
        self._is_thing[list(label_set.things)] = True
        self._scenes: dict[int, list[_ClassInScene]] = {c: [] for c in label_set.things}

    def update(
        self,
        labels: Int[np.ndarray, " n"],
        instances: Int[np.ndarray, " n"],
        masks: Bool[np.ndarray, "m n"] | Sequence[Int[np.ndarray, " _"]],
        mask_labels: Int[np.ndarray, " m"],
        scores: Float[np.ndarray, " m"],
    ) -> None:
        """Add one whole scene. Predictions of uncountable classes (wall, floor) are left out.

        Args:
            labels: true train ids, -1 = unlabeled.
            instances: true instance ids, -1 = none. Points of two classes are two instances.
            masks: the points of each prediction, which may overlap: rows of booleans, or one array
                of distinct point indices each.
            mask_labels: predicted train ids.
            scores: confidences; only their order matters. Equal scores enter the curve together.

        Raises:
            ValueError: if sizes disagree, an id or index is out of range, a point index comes
                twice in a mask, masks are neither booleans nor indices, or a score is not finite.
        """
        _check_scene(self.label_set.n_classes, labels, instances, masks, mask_labels, scores)
        mask_index, point_index = _mask_points(masks, len(labels))
        region, truth_labels, truth_sizes = _truth_regions(labels, instances, self._is_thing)
        shape = (len(scores), 1 + len(truth_sizes))
        cell = mask_index * shape[1] + region[point_index]
        shared = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
        is_large = shared.sum(axis=1) >= self.min_region
        for label, scenes in self._scenes.items():
            rows, truth = is_large & (mask_labels == label), truth_labels == label
            if rows.any() or truth.any():
                scenes.append(
                    _class_in_scene(
                        shared[rows], truth_sizes * truth, scores[rows], self.min_region
                    )
                )

    def compute(self) -> InstanceResult:
        """Scores of all the scenes so far."""
        table = np.array(
            [
                [_average_precision(s, overlap) for overlap in OVERLAPS]
                for s in self._scenes.values()
            ]
        ).reshape(-1, len(OVERLAPS))
        names = [self.label_set.names[label] for label in self._scenes]
        ap, ap50, ap25 = table[:, :-1].mean(axis=1), table[:, 0], table[:, -1]
        frequency = self.label_set.frequency
        return InstanceResult(
            ap=class_mean(table[:, :-1]),
            ap50=class_mean(ap50),
            ap25=class_mean(ap25),
            per_class={
                name: ClassAP(*row)
                for name, *row in zip(names, ap.tolist(), ap50.tolist(), ap25.tolist(), strict=True)
            },
            by_frequency=frequency_means(
                {"ap": ap, "ap50": ap50, "ap25": ap25},
                None if frequency is None else [frequency[label] for label in self._scenes],
            ),
            protocol=self.protocol.name(self.label_set, f"min_region={self.min_region}"),
        )


def _check_scene(
    n_classes: int,
    labels: np.ndarray,
    instances: np.ndarray,
    masks: np.ndarray | Sequence[np.ndarray],
    mask_labels: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Raise if the arguments of `update` break a rule; `_mask_points` checks inside the masks."""
    check_ids("labels", labels, -1, n_classes - 1)
    check_ids("instances", instances, -1)
    check_equally_long(labels=labels, instances=instances)
    check_predictions(n_classes, masks, mask_labels, scores)


def _mask_points(
    masks: np.ndarray | Sequence[np.ndarray], n_points: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Every (mask, point) pair with the point in the mask."""
    if isinstance(masks, np.ndarray):
        if masks.dtype != bool or masks.shape[1:] != (n_points,):
            raise ValueError(
                f"masks must be booleans of shape (m, {n_points}) or m index arrays, "
                f"got {masks.dtype} of shape {masks.shape}"
            )
        mask_index, point_index = np.nonzero(masks)
        return mask_index, point_index
    for i, mask in enumerate(masks):
        check_ids(f"masks[{i}]", mask, 0, n_points - 1)
        if np.bincount(mask).max(initial=0) > 1:
            raise ValueError(f"masks[{i}] must hold distinct indices, got one twice")
    point_index = np.concatenate([np.empty(0, dtype=np.int64), *masks])
    return np.repeat(np.arange(len(masks)), [len(mask) for mask in masks]), point_index


def _truth_regions(
    labels: Int[np.ndarray, " n"],
    instances: Int[np.ndarray, " n"],
    is_thing: Bool[np.ndarray, " c"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " g"], Int[np.ndarray, " g"]]:
    """Region of each point (0 = void, i + 1 = instance i), then class and size of the instances.

    The instances of a class come in the order of their ids.
    """
    is_annotated = is_thing[labels] & (instances >= 0)
    number, classes = number_segments(labels[is_annotated], instances[is_annotated], len(is_thing))
    region = np.zeros(len(labels), dtype=np.int64)
    region[is_annotated] = 1 + number
    return region, classes, np.bincount(number)


def _class_in_scene(
    shared: Int[np.ndarray, "p regions"],
    truth_sizes: Int[np.ndarray, " g"],
    scores: Float[np.ndarray, " p"],
    min_region: int,
) -> _ClassInScene:
    """Table of one class from the points that its predictions share with void and instances.

    Args:
        shared: points of each prediction in void (first column) and in each instance.
        truth_sizes: points of each instance, 0 for those of other classes.
        scores: confidences of the predictions.
        min_region: points below which an instance is too small.
    """
    sizes = shared.sum(axis=1)
    is_large = truth_sizes >= min_region
    is_small = (truth_sizes > 0) & ~is_large
    void, inside = shared[:, 0], shared[:, 1:]
    both = inside[:, is_large].T
    return _ClassInScene(
        scores=scores.astype(np.float64),
        ignorable=(void + inside[:, is_small].sum(axis=1)) / sizes,
        iou=both / (truth_sizes[is_large, None] + sizes - both),
    )


def _average_precision(scenes: list[_ClassInScene], overlap: float) -> float:
    """AP of one class at one overlap: NaN without an instance, 0 without a true positive."""
    n_truth = sum(len(scene.iou) for scene in scenes)
    if n_truth == 0:
        return float("nan")
    matches = [_match(scene, overlap) for scene in scenes]
    true = np.array([score for hits, _ in matches for score in hits])
    false = np.array([score for _, misses in matches for score in misses])
    return _area_under_curve(true, false, n_truth)


def _match(scene: _ClassInScene, overlap: float) -> tuple[list[float], list[float]]:
    """Scores of the true and of the false positives at one overlap."""
    hits = scene.iou > overlap
    is_stray = ~hits.any(axis=0) & (scene.ignorable <= overlap)
    true, false = [], scene.scores[is_stray].tolist()
    is_free = np.ones(len(scene.scores), dtype=bool)
    for row in hits:
        chosen = np.flatnonzero(row & is_free)
        if chosen.size:
            is_free[chosen[0]] = False  # the other hits stay free, as in the official script
            *worse, best = np.sort(scene.scores[chosen]).tolist()
            true.append(best)
            false.extend(worse)
    return true, false


def _area_under_curve(
    true: Float[np.ndarray, " t"], false: Float[np.ndarray, " f"], n_truth: int
) -> float:
    r"""Area under precision over recall from the scores of true and false positives.

    .. math:: \mathrm{AP} = \sum_i P_i \frac{R_{i-1} - R_{i+1}}{2}

    i runs over the distinct scores, ascending, then the point (precision 1, recall 0); beyond the
    ends, recall repeats its first value and is 0.
    """
    thresholds = np.unique(np.concatenate([true, false]))
    n_true = len(true) - np.searchsorted(np.sort(true), thresholds)  # scores at or above each
    n_false = len(false) - np.searchsorted(np.sort(false), thresholds)
    precision = np.append(n_true / (n_true + n_false), 1.0)
    recall = np.append(n_true / n_truth, 0.0)
    padded = np.concatenate([recall[:1], recall, [0.0]])
    return float(precision @ (padded[:-2] - padded[2:]) / 2)
