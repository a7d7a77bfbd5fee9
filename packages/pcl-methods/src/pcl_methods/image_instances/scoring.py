"""Average precision of detected objects, over all classes and over rare, common and frequent ones.

Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", CVPR 2019, section 3.2:
mask IoU .50:.05:.95, precision at 101 recalls, at most 300 detections an image. What is found of a
class that is not verified in an image is left out; what matches no object of a class that is not
exhaustive there counts neither way. Counted by faster-coco-eval; the 300 are taken here.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from pcl_methods.image_instances.lvis_format import LvisData

MOST_DETECTIONS = 300  # of an image


class Detection(NamedTuple):
    """An object that was found."""

    image_id: int
    category_id: int
    score: float
    segmentation: dict[str, Any]  # runs, as of `encode_mask`


class InstanceScores(NamedTuple):
    """Average precisions as fractions; NaN where no class of the kind has an object."""

    ap: float
    ap_r: float
    ap_c: float
    ap_f: float
    ap50: float


def score_instances(truth: LvisData, detections: Sequence[Detection]) -> InstanceScores:
    """How well objects were found.

    Args:
        truth: images with their annotations, and the frequency of each class.
        detections: in those images, of those classes.

    Raises:
        ImportError: if faster-coco-eval is missing.
        ValueError: if a detection is of another image or class, or has a score that is no number.
    """
    _check(truth, detections)
    kept = _verified(truth, most_confident(detections))
    precision = _precision(truth, kept)  # (T, R, K)
    precision = np.where(precision > -1, precision, np.nan)
    categories = sorted(truth.categories, key=lambda one: one.id)
    of = np.array([one.frequency for one in categories], dtype=str)
    rare, common, frequent = (_mean(precision[:, :, of == frequency]) for frequency in "rcf")
    return InstanceScores(_mean(precision), rare, common, frequent, _mean(precision[:1]))


def most_confident(detections: Sequence[Detection], most: int = MOST_DETECTIONS) -> list[Detection]:
    """So many detections of each image, from the highest score down; of equal ones the first."""
    of_image: dict[int, list[Detection]] = defaultdict(list)
    for one in detections:
        of_image[one.image_id].append(one)
    ranked = (sorted(those, key=lambda one: -one.score)[:most] for those in of_image.values())
    return [one for those in ranked for one in those]


def _verified(truth: LvisData, detections: list[Detection]) -> list[Detection]:
    """Those of classes that are annotated in their image, or known to be absent from it."""
    verified = {(one.image_id, one.category_id) for one in truth.annotations}
    for image in truth.images:
        verified |= {(image.id, category) for category in image.neg_category_ids}
    return [one for one in detections if (one.image_id, one.category_id) in verified]


def _precision(truth: LvisData, detections: list[Detection]) -> np.ndarray:
    """Of each IoU threshold, recall and class, by ascending id; -1 of a class without objects."""
    if not truth.images or not truth.categories:
        return np.full((10, 101, len(truth.categories)), -1.0)
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        message = "faster-coco-eval must be installed (pip install pcl-methods[images]), got: "
        raise ImportError(message + str(error)) from error
    known = COCO({name: [asdict(one) for one in getattr(truth, name)] for name in vars(truth)})
    found = known.loadRes([one._asdict() for one in detections])
    evaluation = COCOeval_faster(known, found, "segm", lvis_style=True)
    evaluation.params.maxDets = [MOST_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]  # all areas


def _mean(precision: np.ndarray) -> float:
    return float(np.nanmean(precision)) if not np.isnan(precision).all() else float("nan")


def _check(truth: LvisData, detections: Sequence[Detection]) -> None:
    images = {one.id for one in truth.images}
    categories = {one.id for one in truth.categories}
    for place, one in enumerate(detections):
        if one.image_id not in images or one.category_id not in categories:
            pair = (one.image_id, one.category_id)
            raise ValueError(
                f"detections[{place}] must be of an image and a class of the truth, got {pair}"
            )
        if not np.isfinite(one.score):
            raise ValueError(f"detections[{place}].score must be finite, got {one.score}")
