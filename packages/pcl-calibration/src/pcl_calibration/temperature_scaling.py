"""One temperature for all logits.

Guo et al., "On calibration of modern neural networks", ICML 2017, sec. 4.2.
"""

from jaxtyping import Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.calibrator import LOG_TEMPERATURE, LogitCalibrator


class TemperatureScaling(LogitCalibrator):
    r"""Probabilities softmax(logits / temperature), with the temperature that fits labels best.

    .. math:: p_i = \mathrm{softmax}(z_i / T), \quad
        T = \arg\min_T -\frac1n \sum_i \log p_{i, y_i}

    (Guo et al., "On calibration of modern neural networks", ICML 2017, sec. 4.2). Above 1 the
    temperature makes the model less confident. It never changes the order of the classes, and the
    accuracy with it. Log-probabilities serve as logits; bound probabilities away from zero first.

    The temperature stays between exp(-10) and exp(10). It reaches the lower bound where all rows
    are right, so that the surest is the best, and the upper one where logits are worse than none.

    Attributes:
        temperature_: the temperature T.

    Example:
        >>> import torch
        >>> from pcl_calibration.temperature_scaling import TemperatureScaling
        >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        >>> scaling = TemperatureScaling().fit(logits, torch.tensor([0, 0, 1, 1]))
        >>> scaling.transform(logits)[0]
        tensor([0.7500, 0.2500])
        >>> f"{scaling.nll_before_:.2f} to {scaling.nll_after_:.2f}"
        '1.02 to 0.56'
    """

    @checked
    def fit(self, logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> "TemperatureScaling":
        """This estimator, fitted to the rows whose label is not -1.

        Args:
            logits: of each class, or logarithms of probabilities.
            labels: class of each row; -1 is ignored.

        Raises:
            ValueError: if there are fewer than two classes, no label but -1, a label that is
                neither -1 nor a class, or logits that are not finite.
        """
        self._fit([[0.0]], [LOG_TEMPERATURE], logits, labels)
        return self

    @property
    def temperature_(self) -> float:
        """The divisor of all logits."""
        return self.parameters_[0].exp().item()

    def _log_probabilities(
        self, parameters: Float[Tensor, " p"], logits: Float[Tensor, "n c"], *of_rows: Tensor
    ) -> Float[Tensor, "n c"]:
        return (logits / parameters[0].exp()).log_softmax(dim=1)
