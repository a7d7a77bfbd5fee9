"""One weight and one bias for the logit of each class.

Guo et al., "On calibration of modern neural networks", ICML 2017, sec. 4.2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.calibrator import LogitCalibrator, check_labeled


class VectorScaling(LogitCalibrator):
    r"""Probabilities softmax(weight * logits + bias), with one weight and one bias a class.

    .. math:: p_i = \mathrm{softmax}(w \odot z_i + b)

    (Guo et al., "On calibration of modern neural networks", ICML 2017, sec. 4.2), by the least
    negative log-likelihood, which is convex in w and b. With two classes it is the scaling of
    Platt. It can change the argmax: compare `accuracy_before_` with `accuracy_after_`, and measure
    both on held-out rows. Log-probabilities serve as logits; bound probabilities away from zero
    first.

    Attributes:
        weight_: (c,) float64, the factors w.
        bias_: (c,) float64, the summands b. What is added to all of them changes nothing.

    Example:
        >>> import torch
        >>> from pcl_calibration.vector_scaling import VectorScaling
        >>> logits = torch.tensor(
        ...     [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
        ... )
        >>> scaling = VectorScaling().fit(logits, torch.tensor([0, 1, 1, 0, 1]))
        >>> scaling.transform(logits[2:4])
        tensor([[0.3333, 0.6667],
                [0.5000, 0.5000]])
        >>> scaling.accuracy_before_, scaling.accuracy_after_
        (0.4, 0.6)
    """

    @checked
    def fit(self, logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> "VectorScaling":
        """This estimator, fitted to the rows whose label is not -1.

        Args:
            logits: of each class, or logarithms of probabilities.
            labels: class of each row; -1 is ignored.

        Raises:
            ValueError: if there are fewer than two classes, no label but -1, a label that is
                neither -1 nor a class, a class without a label (its bias would fall without end),
                or logits that are not finite.
        """
        check_labeled(logits, labels)
        n_classes = logits.shape[1]
        counts = labels[labels >= 0].long().bincount(minlength=n_classes)
        if not counts.all():
            absent = (counts == 0).nonzero()[:, 0].tolist()
            raise ValueError(f"labels must hold every class, got none of {absent}")
        start = [1.0] * n_classes + [0.0] * n_classes
        self._fit([start], [(None, None)] * len(start), logits, labels)
        return self

    @property
    def weight_(self) -> Float[Tensor, " c"]:
        """The factor of each class's logit."""
        return self.parameters_.chunk(2)[0]

    @property
    def bias_(self) -> Float[Tensor, " c"]:
        """The summand of each class's logit."""
        return self.parameters_.chunk(2)[1]

    def _log_probabilities(
        self, parameters: Float[Tensor, " p"], logits: Float[Tensor, "n c"], *of_rows: Tensor
    ) -> Float[Tensor, "n c"]:
        if 2 * logits.shape[1] != len(parameters):
            raise ValueError(
                f"logits must have {len(parameters) // 2} classes, got {logits.shape[1]}"
            )
        weight, bias = parameters.chunk(2)
        return torch.addcmul(bias, weight, logits).log_softmax(dim=1)
