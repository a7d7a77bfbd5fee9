"""What calibrators share: parameters of least negative log-likelihood, and a report of the fit."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import optimize
from torch import Tensor
from torch.nn import functional

from pcl_calibration.argument_shapes import checked
from pcl_calibration.argument_values import check_finite, check_ids

MAX_ITERATIONS = 1000
# Logarithms of temperatures stay within these: farther ones change nothing that is still readable.
LOG_TEMPERATURE = (-10.0, 10.0)


class Calibrator:
    """A map of logits to probabilities, fitted to labels as an estimator of scikit-learn is.

    A subclass has `fit`, `transform` and `_log_probabilities`. Parameters minimise the mean
    negative log-likelihood of the labels by L-BFGS-B (Zhu et al., TOMS 1997) in float64, from
    fixed starts: equal data give equal parameters.

    Attributes:
        parameters_: (p,) float64, all that the fit found, as the optimiser sees it.
        accuracy_before_: share of labeled rows whose argmax is their label, by the logits.
        accuracy_after_: the same by the calibrated probabilities.
        nll_before_: mean negative log-likelihood of labels (nats) under softmax(logits).
        nll_after_: the same under the calibrated probabilities.
    """

    parameters_: Float[Tensor, " p"]
    accuracy_before_: float
    accuracy_after_: float
    nll_before_: float
    nll_after_: float

    def _log_probabilities(
        self, parameters: Float[Tensor, " p"], logits: Float[Tensor, "n c"], *of_rows: Tensor
    ) -> Float[Tensor, "n c"]:
        raise NotImplementedError

    def _fit(
        self,
        starts: Sequence[Sequence[float]],
        bounds: Sequence[tuple[float | None, float | None]],
        logits: Float[Tensor, "n c"],
        labels: Int[Tensor, " n"],
        *of_rows: Tensor,
    ) -> None:
        """Set the parameters of least negative log-likelihood from any start, and the report."""
        check_labeled(logits, labels)
        is_labeled = labels >= 0
        with torch.inference_mode(False), torch.enable_grad():
            logits, labels = logits.detach()[is_labeled].double(), labels[is_labeled].long()
            of_labeled = [rows.detach()[is_labeled] for rows in of_rows]

            def loss(parameters: Tensor) -> Tensor:
                log_probabilities = self._log_probabilities(parameters, logits, *of_labeled)
                return functional.nll_loss(log_probabilities, labels)

            found = [_minimize(loss, start, bounds, logits.device) for start in starts]
        self.parameters_ = min(found, key=lambda parameters: loss(parameters).item())
        before = logits.log_softmax(dim=1)
        after = self._log_probabilities(self.parameters_, logits, *of_labeled)
        self.accuracy_before_, self.nll_before_ = _report(before, labels)
        self.accuracy_after_, self.nll_after_ = _report(after, labels)

    def _transform(self, logits: Float[Tensor, "n c"], *of_rows: Tensor) -> Float[Tensor, "n c"]:
        """The calibrated probabilities, in the type of the logits and at least float32 inside."""
        self._check_fitted()
        check_finite(logits=logits)
        rows = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return self._log_probabilities(self.parameters_.to(rows), rows, *of_rows).exp().to(logits)

    def _check_fitted(self) -> None:
        if not hasattr(self, "parameters_"):
            raise ValueError(f"{type(self).__name__} must be fitted before transform")


class LogitCalibrator(Calibrator):
    """A calibrator that needs the logits alone."""

    @checked
    def transform(self, logits: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        """Calibrated probabilities of each row, in the type and on the device of the logits.

        Raises:
            ValueError: if the estimator is not fitted, logits are not finite, or their classes are
                others than those of a fit that depends on the class.
        """
        return self._transform(logits)


def check_labeled(logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> None:
    """Return quietly if a calibrator can be fitted to these.

    Raises:
        ValueError: if there are fewer than two classes, no label but -1, a label that is neither
            -1 nor a class, or logits that are not finite.
    """
    n_classes = logits.shape[1]
    if n_classes < 2:
        raise ValueError(f"logits must have at least 2 classes, got {n_classes}")
    check_finite(logits=logits)
    check_ids(-1, n_classes, labels=labels)
    if not (labels >= 0).any():
        raise ValueError(f"labels must hold one that is not -1, got none of {len(labels)}")


def _minimize(
    loss: Callable[[Tensor], Tensor],
    start: Sequence[float],
    bounds: Sequence[tuple[float | None, float | None]],
    device: torch.device,
) -> Float[Tensor, " p"]:
    def value_and_gradient(values: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = torch.tensor(values, device=device, requires_grad=True)
        value = loss(parameters)
        (gradient,) = torch.autograd.grad(value, parameters)
        return value.item(), gradient.cpu().numpy()

    found = optimize.minimize(
        value_and_gradient,
        np.array(start, dtype=np.float64),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": MAX_ITERATIONS, "ftol": 1e-12, "gtol": 1e-8},
    )
    if found.nit >= MAX_ITERATIONS:
        warnings.warn(f"the fit has not converged after {MAX_ITERATIONS} iterations", stacklevel=4)
    return torch.tensor(found.x, device=device)


def _report(
    log_probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]
) -> tuple[float, float]:
    is_right = log_probabilities.argmax(dim=1) == labels
    return is_right.double().mean().item(), functional.nll_loss(log_probabilities, labels).item()
