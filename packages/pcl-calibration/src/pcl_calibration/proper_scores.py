"""Proper scoring rules: the log-likelihood and the quadratic score, over batches and processes.

Both are least, on average, for the true probabilities; see Gneiting and Raftery, "Strictly Proper
Scoring Rules", JASA 2007. A calibration error is not: it is zero for a model that always gives the
frequencies of the classes.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.predictions import prediction_chunks
from pcl_calibration.streaming_sums import StreamingSums


class _MeanScore(StreamingSums):
    """The mean of a score over samples, and over those of each true class."""

    _sums: ClassVar[tuple[str, ...]] = ("counts", "scores")

    counts: Int[Tensor, " c"]
    scores: Float[Tensor, " c"]

    def __init__(self, n_classes: int) -> None:
        if n_classes < 2:
            raise ValueError(f"n_classes must be at least 2, got {n_classes}")
        self.counts = torch.zeros(n_classes, dtype=torch.int64)
        self.scores = torch.zeros(n_classes, dtype=torch.float64)

    @checked
    @torch.no_grad()
    def update(self, probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> None:
        """Add rows of a softmax and their true classes, -1 = ignored; a refused batch adds nothing.

        Raises:
            ValueError: if there are other classes, a label lies outside [-1, c), or the
                probabilities of a labeled row leave [0, 1] or do not sum to one.
        """
        if probabilities.shape[1] != len(self.counts):
            shape = tuple(probabilities.shape)
            raise ValueError(f"probabilities must have shape (n, {len(self.counts)}), got {shape}")
        for rows, of_rows in prediction_chunks(probabilities, labels):
            scores = self._score(rows.cpu().double(), of_rows.cpu())
            self.counts += torch.bincount(of_rows.cpu(), minlength=len(self.counts))
            self.scores.scatter_add_(0, of_rows.cpu(), scores)

    def compute(self) -> float:
        """The mean over all samples, NaN without any."""
        return float(self.scores.sum() / self.counts.sum())

    def per_class(self) -> Float[Tensor, " c"]:
        """The mean over the samples whose label is the class, NaN without any."""
        return (self.scores / self.counts).to(torch.get_default_dtype())

    def _score(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError


class NegativeLogLikelihood(_MeanScore):
    """The mean of -log p_y, in nats: p_y the probability given to the true class.

    It is infinite as soon as a true class was given a probability of zero, as a float32 softmax
    gives for a logit 104 below the largest; `floor` bounds it then.

    Args:
        n_classes: c, at least 2.
        floor: probabilities below it count as it, in [0, 1); 0 is the definition.

    Raises:
        ValueError: if n_classes is below 2 or floor outside [0, 1).

    Example:
        >>> import torch
        >>> nll = NegativeLogLikelihood(2)
        >>> nll.update(torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([0, 1]))
        >>> round(nll.compute(), 4)
        0.3466
        >>> nll.per_class()
        tensor([0.6931, 0.0000])
    """

    _settings: ClassVar[tuple[str, ...]] = ("floor",)

    def __init__(self, n_classes: int, *, floor: float | int = 0.0) -> None:
        super().__init__(n_classes)
        if not 0 <= floor < 1:
            raise ValueError(f"floor must lie in [0, 1), got {floor}")
        self.floor = float(floor)

    def _score(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        of_label = probabilities.gather(1, labels[:, None]).squeeze(1)
        return of_label.clamp_(self.floor, 1.0).log_().neg_()


class BrierScore(_MeanScore):
    """The mean of sum_k (p_k - y_k)^2, in [0, 2]: y the one-hot label.

    Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950. Of two classes it is
    twice what some call the Brier score.

    Args:
        n_classes: c, at least 2.

    Raises:
        ValueError: if n_classes is below 2.

    Example:
        >>> import torch
        >>> score = BrierScore(2)
        >>> score.update(torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([0, 1]))
        >>> score.compute()
        0.25
    """

    _settings: ClassVar[tuple[str, ...]] = ()

    def _score(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        of_label = probabilities.gather(1, labels[:, None])
        # The terms of the other classes are those of a label of zero.
        others = probabilities.scatter(1, labels[:, None], 0.0)
        return others.square_().sum(dim=1) + (1 - of_label.squeeze(1)).square_()


@checked
def negative_log_likelihood(
    probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"], *, floor: float | int = 0.0
) -> float:
    """The mean of -log p_y over the rows, in nats; see `NegativeLogLikelihood`.

    Args:
        probabilities: rows of a softmax.
        labels: the true classes, -1 = ignored.
        floor: probabilities below it count as it, in [0, 1).

    Raises:
        ValueError: of what `NegativeLogLikelihood` refuses.

    Example:
        >>> import torch
        >>> round(negative_log_likelihood(torch.tensor([[0.5, 0.5]]), torch.tensor([1])), 4)
        0.6931
    """
    score = NegativeLogLikelihood(probabilities.shape[1], floor=floor)
    score.update(probabilities, labels)
    return score.compute()


@checked
def brier_score(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> float:
    """The mean of sum_k (p_k - y_k)^2 over the rows, in [0, 2]; see `BrierScore`.

    Args:
        probabilities: rows of a softmax.
        labels: the true classes, -1 = ignored.

    Raises:
        ValueError: of what `BrierScore` refuses.

    Example:
        >>> import torch
        >>> brier_score(torch.tensor([[0.5, 0.5]]), torch.tensor([1]))
        0.5
    """
    score = BrierScore(probabilities.shape[1])
    score.update(probabilities, labels)
    return score.compute()
