"""Calibration errors that are read from a table of `ClassCalibrationError`.

All are fractions in [0, 1] that do not say in which direction; `compute` of the table does.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct, idct
from scipy.optimize import root_scalar
from torch import Tensor

from pcl_calibration.calibration_table import CalibrationBins, ClassCalibrationError


def expected_calibration_error(table: ClassCalibrationError, n_bins: int | None = None) -> float:
    """The mean distance of accuracy and confidence over bins of equal width, all classes pooled.

    ECE = sum_b N_b / N |acc_b - conf_b| (Naeini et al., "Obtaining Well Calibrated Probabilities
    Using Bayesian Binning", AAAI 2015). NaN of a table without samples.

    Args:
        table: of samples.
        n_bins: B; None = those the table was made with.

    Raises:
        ValueError: if n_bins does not divide the fine bins of the table.

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(2)
        >>> table.update(torch.tensor([[0.75, 0.25], [0.25, 0.75]]), torch.tensor([0, 0]))
        >>> expected_calibration_error(table)
        0.25
    """
    return float(_distance(table.bins(n_bins).pooled()))


def classwise_calibration_error(
    table: ClassCalibrationError, n_bins: int | None = None
) -> Float[Tensor, " c"]:
    """The expected calibration error of each class alone, NaN for a class without samples.

    Its mean over classes is the class-wise ECE of Kull et al., "Beyond temperature scaling",
    NeurIPS 2019, if the table was fed by `update_every_class`; fed by `update`, it asks only about
    the samples that are predicted to be of a class, which are those of Eq. 4.

    Args:
        table: of samples.
        n_bins: of equal width; None = those the table was made with.

    Raises:
        ValueError: if n_bins does not divide the fine bins of the table.

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(3)
        >>> table.update_matches(
        ...     torch.tensor([0, 0, 1]),
        ...     torch.tensor([0.25, 0.75, 0.5]),
        ...     torch.tensor([True, False, True]),
        ... )
        >>> classwise_calibration_error(table), table.compute()
        (tensor([0.7500, 0.5000,    nan]), tensor([0.0000, 0.5000, 0.0000]))
    """
    return _distance(table.bins(n_bins)).to(torch.get_default_dtype())


def adaptive_calibration_error(table: ClassCalibrationError, n_bins: int | None = None) -> float:
    """The mean distance of accuracy and confidence over bins of equal mass, all classes pooled.

    Each bin holds N / B samples that follow each other in confidence (Nixon et al., "Measuring
    Calibration in Deep Learning", CVPR workshops 2019). Where the border of two bins falls
    into a fine bin, its samples are divided in proportion, as if they were alike: so samples of
    equal confidence do not depend on their order, and what happens inside a fine bin is not seen.
    NaN of a table without samples.

    Args:
        table: of samples.
        n_bins: B; None = those the table was made with.

    Raises:
        ValueError: if n_bins is below 1.

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(1)
        >>> confidence = torch.tensor([0.25, 0.25, 0.5, 0.75])
        >>> correct = torch.tensor([True, False, True, True])
        >>> table.update_matches(torch.zeros(4, dtype=torch.int64), confidence, correct)
        >>> adaptive_calibration_error(table, 2)
        0.3125
    """
    n_bins = table.n_bins if n_bins is None else n_bins
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}")
    counts, gaps = _pooled_gaps(table)
    if not (total := counts.sum()):
        return float("nan")
    reached, gap = (np.concatenate([[0.0], np.cumsum(values)]) for values in (counts, gaps))
    # Empty fine bins repeat an abscissa with the same ordinate, which interpolation does not mind.
    at_borders = np.interp(np.linspace(0, total, n_bins + 1), reached, gap)
    return float(np.abs(np.diff(at_borders)).sum() / total)


def smooth_calibration_error(table: ClassCalibrationError) -> float:
    """The distance of accuracy and confidence under a kernel that fits itself, classes pooled.

    With the residual r(t) = 1/N sum_n K_s(t, conf_n) (correct_n - conf_n) and K_s the Gaussian of
    deviation s reflected at 0 and 1, smECE_s is the integral of |r(t)| over [0, 1], and smECE the
    s at which smECE_s = s (Blasiok and Nakkiran, "Smooth ECE", ICLR 2024). It has no bins
    to choose and does not jump as confidences move.

    The samples of a fine bin are taken to be at its middle, where the reflected Gaussian is a
    product of cosine transforms; an error below the width of a fine bin is not resolved. NaN of a
    table without samples.

    Args:
        table: of samples.

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(1)
        >>> confidence = torch.full((8,), 0.75)
        >>> table.update_matches(
        ...     torch.zeros(8, dtype=torch.int64), confidence, confidence > 0
        ... )
        >>> round(smooth_calibration_error(table), 3)
        0.25
    """
    counts, gaps = _pooled_gaps(table)
    if not (total := counts.sum()):
        return float("nan")
    frequencies = np.pi * np.arange(len(gaps))
    transformed = dct(gaps / total)

    def excess(deviation: float) -> float:
        kernel = np.exp(-((deviation * frequencies) ** 2) / 2)
        return float(np.abs(idct(transformed * kernel)).sum()) - deviation

    # It is at most 1, where rounding may lift it.
    return float(root_scalar(excess, bracket=(0.0, 2.0), method="brentq", xtol=1e-9).root)


def _distance(bins: CalibrationBins) -> Tensor:
    """The sum of |correct - confidence| over bins, as a fraction of the samples of a class."""
    gaps = (bins.correct - bins.confidences).abs().sum(dim=1)
    return gaps / bins.counts.sum(dim=1)


def _pooled_gaps(table: ClassCalibrationError) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and correct minus confident ones, of each fine bin of all classes together."""
    pooled = table.bins(table.counts.shape[1]).pooled()
    return pooled.counts[0].numpy(), (pooled.correct - pooled.confidences)[0].numpy()
