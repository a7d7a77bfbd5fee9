"""Which detections are right: one to one with the truth, by score.

Greedy matching as of COCO, with the federated annotations of Gupta et al., "LVIS: A Dataset for
Large Vocabulary Instance Segmentation", CVPR 2019: of an image it is known for some classes
only whether they are there, and for some that not every object is annotated. A detection about
which nothing is known is neither right nor wrong.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.calibration_error import classwise_calibration_error
from pcl_calibration.calibration_table import ClassCalibrationError
from pcl_calibration.predictions import IGNORE_INDEX, check_fractions

# Oksuz et al., "Towards Building Self-Aware Object Detectors", CVPR 2023.
LOCALIZATION_BINS = 25


class DetectionMatches(NamedTuple):
    """What the truth of an image says of n detections."""

    correct: Bool[Tensor, " n"]
    """Whether it was matched to an object."""
    kept: Bool[Tensor, " n"]
    """Whether it is known to be right or wrong; the others are ignored."""
    iou: Float[Tensor, " n"]
    """IoU with the object it was matched to, 0 where there is none."""


@checked
def match_detections(
    iou: Float[Tensor, "n m"],
    labels_predicted: Int[Tensor, " n"],
    confidence: Float[Tensor, " n"],
    labels: Int[Tensor, " m"],
    *,
    threshold: float = 0.5,
    negative_classes: Int[Tensor, " k"] | None = None,
    not_exhaustive_classes: Int[Tensor, " q"] | None = None,
) -> DetectionMatches:
    """The detections of an image or scene that are right, each object found at most once.

    From the highest score down (equal scores in the order given), a detection takes the object of
    its class that overlaps most, of those that are free and overlap enough; of equal ones the
    first. What takes none is wrong, unless it is ignored: if it overlaps enough with an object
    whose label is -1, whatever its class; if its class is not verified in this image, that is
    neither among its objects nor in `negative_classes`; or if its class is not exhaustive.

    Args:
        iou: overlap of each detection with each object, of boxes, masks or points.
        labels_predicted: classes of the detections.
        confidence: their scores.
        labels: classes of the objects, -1 = a region to ignore.
        threshold: least IoU of a match, in (0, 1].
        negative_classes: those verified to be absent (`neg_category_ids` of LVIS); None = every
            class is annotated in every image.
        not_exhaustive_classes: those of which objects may lack an annotation
            (`not_exhaustive_category_ids` of LVIS); None = there are none.

    Returns:
        `correct`, `kept` and `iou` of each detection, on the device of iou. The kept ones go to
        `ClassCalibrationError.update_matches`.

    Raises:
        ValueError: if threshold lies outside (0, 1], an IoU or a confidence outside [0, 1], or a
            predicted label is negative or a label below -1.

    Example:
        >>> import torch
        >>> iou = torch.tensor([[0.75, 0.0], [0.875, 0.0], [0.0, 0.0]])
        >>> found = match_detections(
        ...     iou,
        ...     torch.tensor([0, 0, 2]),
        ...     torch.tensor([0.5, 0.25, 0.75]),
        ...     torch.tensor([0, 1]),
        ...     negative_classes=torch.tensor([3]),
        ... )
        >>> found.correct.tolist(), found.kept.tolist(), found.iou.tolist()
        ([True, False, False], [True, True, False], [0.75, 0.0, 0.0])
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1], got {threshold}")
    check_fractions(iou=iou, confidence=confidence)
    for name, values, least in (("labels_predicted", labels_predicted, 0), ("labels", labels, -1)):
        if values.numel() and values.min() < least:
            raise ValueError(f"{name} must be at least {least}, got {int(values.min())}")
    device = iou.device
    labels_predicted, labels = labels_predicted.to(device), labels.to(device)
    is_free = (labels_predicted[:, None] == labels) & (iou >= threshold)
    matched_iou = _greedy(iou.where(is_free, 0.0), confidence).to(iou)
    correct = matched_iou > 0
    is_known = ~((iou >= threshold) & (labels == IGNORE_INDEX)).any(dim=1)
    if negative_classes is not None:
        verified = torch.cat([labels, negative_classes.to(labels)])
        is_known &= torch.isin(labels_predicted, verified)
    if not_exhaustive_classes is not None:
        is_known &= ~torch.isin(labels_predicted, not_exhaustive_classes.to(labels_predicted))
    return DetectionMatches(correct, correct | is_known, matched_iou)


def localization_calibration_error(
    table: ClassCalibrationError, n_bins: int = LOCALIZATION_BINS
) -> float:
    """The localisation-aware error: confidences should be precision times overlap with the truth.

    LaECE = 1/C sum_c sum_b N_cb / N_c |conf_cb - precision_cb iou_cb|, iou_cb the mean IoU of the
    matched detections, over the classes that were detected (Oksuz et al., "Towards Building
    Self-Aware Object Detectors", CVPR 2023). Precision times that mean is the mean over all
    detections of a bin, a false positive counting zero: what `update_overlaps` sums.

    Args:
        table: fed by `update_overlaps`, with the `iou` of `match_detections`.
        n_bins: of equal width, 25 in the paper.

    Returns:
        A fraction, NaN without detections.

    Raises:
        ValueError: if n_bins does not divide the fine bins of the table.

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(2)
        >>> labels, iou = torch.tensor([0, 0]), torch.tensor([0.5, 0.0])
        >>> table.update_overlaps(labels, torch.tensor([0.75, 0.75]), iou)
        >>> localization_calibration_error(table)
        0.5
    """
    return float(classwise_calibration_error(table, n_bins).nanmean())


def _greedy(iou: Tensor, confidence: Tensor) -> Tensor:
    """The IoU of each row with the column it takes; entries of 0 cannot be taken."""
    free = iou.detach().cpu().double().numpy().copy()
    matched = np.zeros(len(free))
    by_score = np.argsort(-confidence.detach().cpu().double().numpy(), kind="stable")
    has_match = np.asarray(free.any(axis=1))
    for row in by_score[has_match[by_score]]:
        column = free[row].argmax()
        matched[row] = free[row, column]
        free[:, column] = 0
    return torch.from_numpy(matched)
