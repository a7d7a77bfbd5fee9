"""A temperature that grows or falls with the distance from the sensor.

Kong et al., "Calib3D: calibrating model preferences for reliable 3D scene understanding", WACV
2025 (DeptS).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.argument_values import check_finite
from pcl_calibration.calibrator import LOG_TEMPERATURE, Calibrator, check_labeled
from pcl_calibration.temperature_scaling import TemperatureScaling


class DepthAwareScaling(Calibrator):
    r"""Probabilities softmax(logits / temperature), where temperature is linear in the depth.

    .. math:: p_i = \mathrm{softmax}(z_i / T_i), \quad T_i = T_{g(i)} (k d_i + b), \quad
        g(i) = [H(\mathrm{softmax}(z_i)) \ge h]

    (Kong et al., "Calib3D", WACV 2025, DeptS): d_i is the depth of the point and H the
    entropy of its probabilities, so that sure and unsure points have a temperature each. The
    order of the classes of a point never changes. Log-probabilities serve as logits; bound
    probabilities away from zero first.

    Three departures from the published program. It trains by AdamW on all wrong and a random half
    of the right points, which lowers the confidence beyond what labels ask for; here all labeled
    points count, and the fit is repeatable. The line k d + b is held above zero, by its values at
    the nearest and the farthest labeled point; outside of these depths the nearer end holds, where
    a line could cross zero and turn classes around. The fit starts at the best single temperature:
    the likelihood is never below that of `TemperatureScaling`.

    Args:
        entropy_threshold: the entropy h (nats) from which a point is unsure; 0.3 as published.

    Attributes:
        temperatures_: (2, 2) float64, rows sure and unsure, columns nearest and farthest.
        depth_range_: least and greatest depth (metres) of the labeled points.

    Example:
        >>> import torch
        >>> from pcl_calibration.depth_aware_scaling import DepthAwareScaling
        >>> logits = torch.tensor([[3.0, 0.0]]).expand(16, 2)
        >>> labels = torch.tensor([0] * 7 + [1] + [0] * 5 + [1] * 3)  # far points are worse
        >>> depth = torch.tensor([5.0] * 8 + [50.0] * 8)
        >>> scaling = DepthAwareScaling().fit(logits, labels, depth)
        >>> scaling.transform(logits, depth)[[0, 8]]
        tensor([[0.8750, 0.1250],
                [0.6250, 0.3750]])
    """

    def __init__(self, *, entropy_threshold: float = 0.3) -> None:
        if not entropy_threshold >= 0:
            raise ValueError(f"entropy_threshold must be at least 0, got {entropy_threshold}")
        self.entropy_threshold = entropy_threshold

    @checked
    def fit(
        self, logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"], depth: Float[Tensor, " n"]
    ) -> "DepthAwareScaling":
        """This estimator, fitted to the points whose label is not -1.

        Args:
            logits: of each class, or logarithms of probabilities.
            labels: class of each point; -1 is ignored.
            depth: distance of each point from the sensor (metres).

        Raises:
            ValueError: if there are fewer than two classes, no label but -1, a label that is
                neither -1 nor a class, logits or depths that are not finite, or a depth below zero.
        """
        check_labeled(logits, labels)
        _check_depth(depth)
        low, high = depth[labels >= 0].aminmax()
        self.depth_range_ = (low.item(), high.item())
        (one,) = TemperatureScaling().fit(logits, labels).parameters_.tolist()
        bounds = [LOG_TEMPERATURE] * 3
        self._fit([[one, one, 0.0]], bounds, logits, labels, *self._of_rows(logits, depth))
        return self

    @checked
    def transform(
        self, logits: Float[Tensor, "n c"], depth: Float[Tensor, " n"]
    ) -> Float[Tensor, "n c"]:
        """Calibrated probabilities of each point, in the type and on the device of the logits.

        Args:
            logits: of each class, or logarithms of probabilities.
            depth: distance of each point from the sensor (metres).

        Raises:
            ValueError: if the estimator is not fitted, logits or depths are not finite, or a
                depth lies below zero.
        """
        self._check_fitted()
        _check_depth(depth)
        return self._transform(logits, *self._of_rows(logits, depth))

    @property
    def temperatures_(self) -> Float[Tensor, "2 2"]:
        """Rows: sure and unsure points. Columns: at the nearest and the farthest depth."""
        near, far, unsure = self.parameters_.exp()
        sure = torch.stack([near, far])
        return torch.stack([sure, unsure * sure])

    def _of_rows(
        self, logits: Float[Tensor, "n c"], depth: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, " n"], Tensor]:
        """Where each point lies between the nearest (0) and the farthest (1); if it is unsure."""
        low, high = self.depth_range_
        extent = high - low if high > low else 1.0
        entropy = torch.special.entr(logits.double().softmax(dim=1)).sum(dim=1)
        return ((depth - low) / extent).clamp(0, 1), entropy >= self.entropy_threshold

    def _log_probabilities(
        self, parameters: Float[Tensor, " p"], logits: Float[Tensor, "n c"], *of_rows: Tensor
    ) -> Float[Tensor, "n c"]:
        position, is_unsure = of_rows
        near, far, unsure = parameters.exp()
        temperature = (near + (far - near) * position) * torch.where(is_unsure, unsure, 1.0)
        return (logits / temperature[:, None]).log_softmax(dim=1)


def _check_depth(depth: Float[Tensor, " n"]) -> None:
    check_finite(depth=depth)
    if len(depth) and depth.min() < 0:
        raise ValueError(f"depth must be at least 0, got {depth.min().item():.3g}")
