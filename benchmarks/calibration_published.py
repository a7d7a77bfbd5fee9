"""Calibrators on the confidences of a published PointNet, fitted on some rooms, measured on others.

    OMP_NUM_THREADS=1 python benchmarks/calibration_published.py --data ../shared/data

Writes `results/calibration_published.md`.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pages import head, how_it_was_made, line
from records import RESULTS
from torch import Tensor

from pcl_calibration.calibration_error import expected_calibration_error
from pcl_calibration.calibration_table import ClassCalibrationError
from pcl_calibration.ensemble_temperature_scaling import EnsembleTemperatureScaling
from pcl_calibration.proper_scores import BrierScore, NegativeLogLikelihood
from pcl_calibration.temperature_scaling import TemperatureScaling
from pcl_calibration.vector_scaling import VectorScaling
from pcl_data import S3DIS13

SPLITS = (0, 1, 2)
N_BINS = 15
# Float16 has steps of 2^-11 below one: what it rounds to one is at least this.
SUREST = 1 - 2.0**-12
ABOUT = """\
# Calibrators on a published model's predictions

PointNet (Qi et al., CVPR 2017) on rooms of S3DIS, Area 6: the labels that it gave, its confidence
in them, and the truth. Each calibrator is fitted on half of the rooms and measured on the other
half; three such splits, the same for all.

Only the confidence p of the predicted class is stored, not the other twelve probabilities. So the
calibrators answer the question that can be asked of it, whether the prediction is right, with the
log-probabilities (log(1 - p), log p) as logits of two classes: *wrong* and *right*. The predicted
class stays, and the calibrated probability of *right* is its new confidence. What calibration does
to the other classes, or to the accuracy, cannot be seen here. Confidences are stored in half
precision, where those above 1 - 2^-12 became 1: they count as 1 - 2^-12. There is no sensor in
these rooms, so no `DepthAwareScaling`.

*ECE* is the expected calibration error of 15 bins, all points pooled. The *signed error* of a class
is accuracy minus confidence of the points predicted to be of it (Porcher et al., 2024, Eq. 4),
below 0 where the model is too sure; *class error* is its mean size over classes. *NLL* (nats) and
*Brier* (0 to 2) are of the question whether the prediction is right. Lower is better in all.

`VectorScaling` of these two classes is beta calibration (Kull et al., AISTATS 2017).
*By class* is one of it for each predicted class that was both right and wrong in the fitted rooms,
and for others the one of all.
"""


class Points(NamedTuple):
    """Predictions of some rooms."""

    logits: Tensor  # (n, 2) log-probabilities of wrong and right
    is_right: Tensor  # (n,) int64
    classes: Tensor  # (n,) predicted


class Score(NamedTuple):
    """What is measured on held-out rooms."""

    ece: float
    class_errors: Tensor  # (13,) signed, NaN for a class that is not predicted
    nll: float
    brier: float


Map = Callable[[Points], Tensor]


def read(path: Path) -> Points:
    room = np.load(path)
    confidence = torch.from_numpy(room["conf_pointnet"].astype(np.float64)).clamp(max=SUREST)
    classes = torch.from_numpy(room["pred_pointnet"].astype(np.int64))
    is_right = (classes == torch.from_numpy(room["label"].astype(np.int64))).long()
    return Points(torch.stack([1 - confidence, confidence], dim=1).log(), is_right, classes)


def together(rooms: Iterable[Points]) -> Points:
    return Points(*(torch.cat(parts) for parts in zip(*rooms, strict=True)))


def uncalibrated(fitted: Points) -> Map:
    return lambda points: points.logits.exp()


def scaled(scaling: type) -> Callable[[Points], Map]:
    def fit(fitted: Points) -> Map:
        calibrator = scaling().fit(fitted.logits, fitted.is_right)
        return lambda points: calibrator.transform(points.logits)

    return fit


def by_class(fitted: Points) -> Map:
    of_all = VectorScaling().fit(fitted.logits, fitted.is_right)
    calibrators = {}
    for name in fitted.classes.unique().tolist():
        is_of = fitted.classes == name
        if len(fitted.is_right[is_of].unique()) == 2:
            calibrators[name] = VectorScaling().fit(fitted.logits[is_of], fitted.is_right[is_of])

    def transform(points: Points) -> Tensor:
        probabilities = of_all.transform(points.logits)
        for name, calibrator in calibrators.items():
            is_of = points.classes == name
            probabilities[is_of] = calibrator.transform(points.logits[is_of])
        return probabilities

    return transform


WAYS = {
    "none": uncalibrated,
    "`TemperatureScaling`": scaled(TemperatureScaling),
    "`EnsembleTemperatureScaling`": scaled(EnsembleTemperatureScaling),
    "`VectorScaling`": scaled(VectorScaling),
    "`VectorScaling` by class": by_class,
}


def score(points: Points, probabilities: Tensor) -> Score:
    table = ClassCalibrationError(len(S3DIS13.names), N_BINS)
    table.update_matches(points.classes, probabilities[:, 1], points.is_right.bool())
    errors = table.compute()
    errors[table.bins().counts.sum(dim=1) == 0] = torch.nan
    nll, brier = NegativeLogLikelihood(2), BrierScore(2)
    nll.update(probabilities, points.is_right)
    brier.update(probabilities, points.is_right)
    return Score(expected_calibration_error(table), errors, nll.compute(), brier.compute())


def measure(rooms: list[Points]) -> dict[str, list[Score]]:
    """Scores of each way on the held-out rooms of each split."""
    scores: dict[str, list[Score]] = {name: [] for name in WAYS}
    for seed in SPLITS:
        order = torch.randperm(len(rooms), generator=torch.Generator().manual_seed(seed)).tolist()
        half = len(rooms) // 2
        fitted, held_out = (
            together(rooms[i] for i in part) for part in (order[:half], order[half:])
        )
        for name, fit in WAYS.items():
            scores[name].append(score(held_out, fit(fitted)(held_out)))
            print(seed, name, scores[name][-1], file=sys.stderr)
    return scores


def spread(values: list[float], digits: int) -> str:
    """Mean, least and greatest over splits."""
    mean, low, high = np.mean(values), min(values), max(values)
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def score_table(scores: dict[str, list[Score]]) -> Iterable[str]:
    yield from head("calibrator", "ECE", "class error", "NLL", "Brier")
    for name, of_splits in scores.items():
        sizes = [s.class_errors.abs().nanmean().item() for s in of_splits]
        values = [s.ece for s in of_splits], sizes
        proper = [s.nll for s in of_splits], [s.brier for s in of_splits]
        yield line(name, *(spread(v, 3) for v in values), *(spread(v, 3) for v in proper))


def class_table(scores: dict[str, list[Score]], rooms: list[Points]) -> Iterable[str]:
    counts = together(rooms).classes.bincount(minlength=len(S3DIS13.names)).tolist()
    yield from head("predicted class", "points", *scores)
    means = [
        torch.stack([s.class_errors for s in of_splits]).nanmean(dim=0).tolist()
        for of_splits in scores.values()
    ]
    for name, count, *errors in zip(S3DIS13.names, counts, *means, strict=True):
        yield line(name, f"{count:,}", *(f"{error:+.3f}" for error in errors))


def page(rooms: list[Points]) -> Iterable[str]:
    yield from ABOUT.splitlines()
    points = together(rooms)
    accuracy = points.is_right.double().mean().item()
    yield from ["", "## Held-out rooms", ""]
    yield f"{len(rooms)} rooms, {len(points.classes):,} points, of which {100 * accuracy:.1f} % are"
    yield "predicted right. Mean over three splits (least to greatest)."
    yield ""
    scores = measure(rooms)
    yield from score_table(scores)
    yield from ["", "## Signed error of each class", ""]
    yield from ["Mean over the splits in which the class is predicted in a held-out room.", ""]
    yield from class_table(scores, rooms)
    yield from ["", *how_it_was_made("calibration_published.py --data DATA")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS / "calibration_published.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rooms = [read(path) for path in sorted((options.data / "s3dis").glob("*.npz"))]
    options.out.write_text("\n".join(page(rooms)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
