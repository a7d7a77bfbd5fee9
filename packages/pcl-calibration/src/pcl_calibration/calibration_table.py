"""How far confidences are from accuracies, class by class, from samples that stream by.

The class-conditional calibration error of Porcher et al., "Better (Pseudo-)Labels for
Semi-Supervised Instance Segmentation", 2024, Eq. 4. What is kept is a table, classes x fine bins of
the confidence, never the samples: the errors of `calibration_error` and the diagrams of
`reliability_diagram` are read from it afterwards, at any number of bins that divides the fine one.
"""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.predictions import (
    IGNORE_INDEX,
    check_fractions,
    check_labels,
    prediction_chunks,
)
from pcl_calibration.streaming_sums import StreamingSums

# 2^4 3^2 5^2: 10, 12, 15, 16, 18, 20, 24, 25, 30, 36, 40, 45, 48, 50, 60, 75, 90, 100 divide it.
N_FINE_BINS = 3600


class CalibrationBins(NamedTuple):
    """What a table holds of each class, its fine bins joined to b bins of equal width."""

    counts: Int[Tensor, "c b"]
    """Samples."""
    correct: Float[Tensor, "c b"]
    """Those that are right (or the sum of their overlaps with the truth)."""
    confidences: Float[Tensor, "c b"]
    """The sum of their confidences."""

    def pooled(self) -> "CalibrationBins":
        """The bins of all classes together, as one class: each of shape (1, b)."""
        return CalibrationBins(*(values.sum(dim=0, keepdim=True) for values in self))


class ClassCalibrationError(StreamingSums):
    """The signed calibration error of each class, over batches, processes and files.

    Of a class i with N_i samples, of which N_ib have a confidence in bin b, Eq. 4 is

        Delta_i = sum_b N_ib / N_i (acc_ib - conf_ib),

    acc the fraction of samples that are right, conf the mean of their confidences. Below zero the
    model is overconfident in the class. The sum is the accuracy of the class minus its mean
    confidence, whatever the bins are; other errors do depend on them. The paper's N_i is read as
    the number of samples, not of training instances, without which the weights do not sum to one.

    Bin b of B is [b / B, (b + 1) / B); the last one holds a confidence of one too. A batch counts
    whole or, where it is refused, not at all. Memory is 24 bytes a class and fine bin (1.7 MB of 20
    classes, 104 MB of 1203). The table is on a CPU; what it counts may come from any device.

    Args:
        n_classes: classes; one is enough for detections of one kind.
        n_bins: of the errors and diagrams that are not told another number.
        n_fine_bins: of the table, a multiple of every number of bins that will be read.

    Raises:
        ValueError: if n_classes is below 1, or n_bins does not divide n_fine_bins.

    Example:
        >>> import torch
        >>> error = ClassCalibrationError(2)
        >>> error.update(torch.tensor([[0.75, 0.25], [0.25, 0.75]]), torch.tensor([0, 0]))
        >>> error.compute()
        tensor([ 0.2500, -0.7500])
    """

    _sums: ClassVar[tuple[str, ...]] = ("counts", "correct", "confidences")
    _settings: ClassVar[tuple[str, ...]] = ("n_bins",)

    counts: Int[Tensor, "c f"]
    correct: Float[Tensor, "c f"]
    confidences: Float[Tensor, "c f"]

    def __init__(self, n_classes: int, n_bins: int = 10, *, n_fine_bins: int = N_FINE_BINS) -> None:
        if n_classes < 1:
            raise ValueError(f"n_classes must be at least 1, got {n_classes}")
        _check_divides(n_bins, n_fine_bins)
        self.n_bins = n_bins
        self.counts = torch.zeros(n_classes, n_fine_bins, dtype=torch.int64)
        self.correct = torch.zeros(n_classes, n_fine_bins, dtype=torch.float64)
        self.confidences = torch.zeros(n_classes, n_fine_bins, dtype=torch.float64)

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.counts)

    @checked
    def update(self, probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> None:
        """Count each row as a sample of its likeliest class, the first one of equals.

        Its confidence is that probability; it is right if the class is the label.

        Args:
            probabilities: rows of a softmax.
            labels: the true classes, -1 = ignored.

        Raises:
            ValueError: if there are other classes or fewer than two, a label lies outside [-1, c),
                or the probabilities of a labeled row leave [0, 1] or do not sum to one.
        """
        self._check_classes(probabilities)
        for rows, of_rows in prediction_chunks(probabilities, labels):
            confidence, predicted = rows.max(dim=1)
            self._count(predicted, confidence, predicted == of_rows)

    @checked
    def update_every_class(
        self, probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]
    ) -> None:
        """Count each probability of a row as a sample of its class, right if that is the label.

        So fed, `classwise_calibration_error` is that of Kull et al., "Beyond temperature scaling",
        NeurIPS 2019. Arguments and errors are those of `update`.
        """
        self._check_classes(probabilities)
        classes = torch.arange(self.n_classes, device=probabilities.device)
        for rows, of_rows in prediction_chunks(probabilities, labels):
            correct = of_rows[:, None] == classes
            self._count(classes.expand_as(rows).flatten(), rows.flatten(), correct.flatten())

    @checked
    def update_matches(
        self,
        labels_predicted: Int[Tensor, " n"],
        confidence: Float[Tensor, " n"],
        correct: Bool[Tensor, " n"],
    ) -> None:
        """Count instances or detections, as `match_detections` tells right from wrong.

        Args:
            labels_predicted: their classes, -1 = ignored.
            confidence: their scores.
            correct: whether each was matched to an object of its class.

        Raises:
            ValueError: if a class lies outside [-1, c) or a confidence outside [0, 1].
        """
        self._count_checked(labels_predicted, confidence, correct)

    @checked
    def update_overlaps(
        self,
        labels_predicted: Int[Tensor, " n"],
        confidence: Float[Tensor, " n"],
        iou: Float[Tensor, " n"],
    ) -> None:
        """Count detections by their overlap with the truth in place of right or wrong.

        What is read from a table so fed asks that a confidence be the expected overlap; see
        `localization_calibration_error`. Arguments and errors are those of `update_matches`.

        Args:
            labels_predicted: their classes, -1 = ignored.
            confidence: their scores.
            iou: IoU of each with the object it was matched to, 0 for a false positive.
        """
        check_fractions(iou=iou)
        self._count_checked(labels_predicted, confidence, iou)

    def compute(self, *, shrinkage: float | int = 0) -> Float[Tensor, " c"]:
        """The accuracy of each class minus its mean confidence, in [-1, 1]; 0 without samples.

        Args:
            shrinkage: n_0 of Delta_i N_i / (N_i + n_0), which draws the error of a class with few
                samples towards zero. The paper has none; 10 is a choice for rare classes.

        Raises:
            ValueError: if shrinkage is negative or not a number.
        """
        if not shrinkage >= 0:
            raise ValueError(f"shrinkage must be at least 0, got {shrinkage}")
        gaps = (self.correct - self.confidences).sum(dim=1)
        errors = gaps / (self.counts.sum(dim=1) + shrinkage)
        return errors.nan_to_num(0.0).to(torch.get_default_dtype())

    def bins(self, n_bins: int | None = None) -> CalibrationBins:
        """The table with its fine bins joined, as fine as it is with n_bins = n_fine_bins.

        Args:
            n_bins: of equal width on [0, 1]; None = those the table was made with.

        Raises:
            ValueError: if n_bins does not divide the fine bins.
        """
        n_bins = self.n_bins if n_bins is None else n_bins
        _check_divides(n_bins, self.counts.shape[1])
        tables = (self.counts, self.correct, self.confidences)
        return CalibrationBins(*(t.unflatten(1, (n_bins, -1)).sum(dim=2) for t in tables))

    def _check_classes(self, probabilities: Tensor) -> None:
        if probabilities.shape[1] != self.n_classes:
            shape = tuple(probabilities.shape)
            raise ValueError(f"probabilities must have shape (n, {self.n_classes}), got {shape}")

    def _count_checked(self, labels: Tensor, confidence: Tensor, correct: Tensor) -> None:
        check_labels(self.n_classes, labels_predicted=labels)
        check_fractions(confidence=confidence)
        kept = labels != IGNORE_INDEX
        self._count(labels[kept].long(), confidence[kept], correct[kept])

    def _count(self, labels: Tensor, confidence: Tensor, correct: Tensor) -> None:
        """Add samples to their cells, in place: a small batch does not cost a large table."""
        n_fine_bins = self.counts.shape[1]
        confidence = confidence.detach().cpu().double()
        fine_bins = (confidence * n_fine_bins).long().clamp_(max=n_fine_bins - 1)
        cells = fine_bins.add_(labels.cpu(), alpha=n_fine_bins)
        self.counts.view(-1).scatter_add_(0, cells, torch.ones_like(cells))
        self.correct.view(-1).scatter_add_(0, cells, correct.detach().cpu().double())
        self.confidences.view(-1).scatter_add_(0, cells, confidence)


def _check_divides(n_bins: int, n_fine_bins: int) -> None:
    if n_bins < 1 or n_fine_bins % n_bins:
        raise ValueError(f"n_bins must divide the {n_fine_bins} fine bins, got {n_bins}")
