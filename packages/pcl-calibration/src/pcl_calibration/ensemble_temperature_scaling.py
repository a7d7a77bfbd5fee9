"""A mixture of scaled, plain and uniform probabilities, which keeps the order of the classes.

Zhang et al., "Mix-n-Match: ensemble and compositional methods for uncertainty calibration in deep
learning", ICML 2020.
"""

import math

from jaxtyping import Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.calibrator import LOG_TEMPERATURE, LogitCalibrator
from pcl_calibration.temperature_scaling import TemperatureScaling

# Shares are ratios to their sum. None is zero, so that no probability is, and its logarithm ends.
LEAST_SHARE = 1e-9


class EnsembleTemperatureScaling(LogitCalibrator):
    r"""Probabilities mixed of three: at a temperature, at temperature 1, and uniform.

    .. math:: p_i = w_1 \, \mathrm{softmax}(z_i / T) + w_2 \, \mathrm{softmax}(z_i) + w_3 / c,
        \quad w \ge 0, \; w_1 + w_2 + w_3 = 1

    (Zhang et al., "Mix-n-Match", ICML 2020). Each part rises with the logit, so the
    order of all classes, the argmax and every top-k accuracy stay as they were. Three numbers
    beyond none are fitted, so a few hundred labels do; the uniform part is what a temperature
    cannot say: that even the surest rows are wrong at times. (Networks that keep the order, Rahimi
    et al., NeurIPS 2020, say more and need a training of their own.)

    The published program fits T alone and then w. Here T and w are fitted together, so that a
    uniform part can go with a lower T. That has several local minima: the better of two is kept,
    found from the best T alone, which makes the likelihood never lower than `TemperatureScaling`
    does, and from a quarter of it mixed evenly. Log-probabilities serve as logits; bound
    probabilities away from zero first.

    Attributes:
        temperature_: the temperature T.
        weights_: (3,) float64, the shares w: at T, at temperature 1, uniform.

    Example:
        >>> import torch
        >>> from pcl_calibration.ensemble_temperature_scaling import (
        ...     EnsembleTemperatureScaling,
        ... )
        >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        >>> scaling = EnsembleTemperatureScaling().fit(logits, torch.tensor([0, 0, 1, 1]))
        >>> scaling.transform(logits)[0]
        tensor([0.7500, 0.2500])
        >>> scaling.accuracy_before_ == scaling.accuracy_after_
        True
    """

    @checked
    def fit(
        self, logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"]
    ) -> "EnsembleTemperatureScaling":
        """This estimator, fitted to the rows whose label is not -1.

        Args:
            logits: of each class, or logarithms of probabilities.
            labels: class of each row; -1 is ignored.

        Raises:
            ValueError: if there are fewer than two classes, no label but -1, a label that is
                neither -1 nor a class, or logits that are not finite.
        """
        (one,) = TemperatureScaling().fit(logits, labels).parameters_.tolist()
        low, high = LOG_TEMPERATURE
        starts = [
            [one, 1.0, LEAST_SHARE, LEAST_SHARE],
            [max(low, one - math.log(4)), 1.0, 1.0, 1.0],
        ]
        self._fit(starts, [(low, high), *[(LEAST_SHARE, None)] * 3], logits, labels)
        return self

    @property
    def temperature_(self) -> float:
        """The divisor of the logits in the first part."""
        return self.parameters_[0].exp().item()

    @property
    def weights_(self) -> Float[Tensor, " 3"]:
        """The shares of the three parts."""
        return self.parameters_[1:] / self.parameters_[1:].sum()

    def _log_probabilities(
        self, parameters: Float[Tensor, " p"], logits: Float[Tensor, "n c"], *of_rows: Tensor
    ) -> Float[Tensor, "n c"]:
        scaled, plain, uniform = (parameters[1:] / parameters[1:].sum()).log()
        mixture = (scaled + (logits / parameters[0].exp()).log_softmax(dim=1)).logaddexp(
            plain + logits.log_softmax(dim=1)
        )
        return mixture.logaddexp(uniform - math.log(logits.shape[1]))
