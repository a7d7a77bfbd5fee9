"""Reliability diagrams: the accuracy of samples against their confidence, all together or by class.

Niculescu-Mizil and Caruana, "Predicting Good Probabilities with Supervised Learning", ICML 2005.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pcl_calibration.calibration_table import CalibrationBins, ClassCalibrationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT_BINS = 15
_PANEL_INCHES = 3.2


class ReliabilityDiagram(NamedTuple):
    """What is drawn: a row for each class asked for, or one for all of them."""

    edges: Float[Tensor, " b1"]
    """Borders of the bins of confidence, from 0 to 1."""
    confidence: Float[Tensor, "r b"]
    """Mean confidence of the samples of a bin, NaN where there are none."""
    accuracy: Float[Tensor, "r b"]
    """Fraction of them that are right, NaN where there are none."""
    share: Float[Tensor, "r b"]
    """Fraction of the samples of the row that lie in the bin; NaN in a row without samples."""


def reliability_diagram(
    table: ClassCalibrationError, n_bins: int = DEFAULT_BINS, classes: Sequence[int] | None = None
) -> ReliabilityDiagram:
    """Confidence, accuracy and share of the samples in bins of equal width.

    Args:
        table: of samples.
        n_bins: b.
        classes: those to tell apart, a row each; None = one row of all samples.

    Raises:
        ValueError: if n_bins does not divide the fine bins of the table, or a class lies outside
            [0, n_classes).

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(2)
        >>> table.update(torch.tensor([[0.75, 0.25], [0.25, 0.75]]), torch.tensor([0, 0]))
        >>> found = reliability_diagram(table, 2)
        >>> found.confidence, found.accuracy, found.share
        (tensor([[   nan, 0.7500]]), tensor([[   nan, 0.5000]]), tensor([[0., 1.]]))
        >>> reliability_diagram(table, 2, classes=[0, 1]).accuracy
        tensor([[nan, 1.],
                [nan, 0.]])
    """
    bins = _rows(table, n_bins, classes)
    dtype = torch.get_default_dtype()
    return ReliabilityDiagram(
        torch.linspace(0, 1, n_bins + 1),
        (bins.confidences / bins.counts).to(dtype),
        (bins.correct / bins.counts).to(dtype),
        (bins.counts / bins.counts.sum(dim=1, keepdim=True)).to(dtype),
    )


def draw_reliability(
    table: ClassCalibrationError,
    n_bins: int = DEFAULT_BINS,
    classes: Sequence[int] | None = None,
    *,
    names: Sequence[str] | None = None,
) -> "Figure":
    """A matplotlib figure with a panel for each class asked for, or one for all of them.

    Bars are the accuracy of a bin, what lies between them and the mean confidence is hatched (red
    if the model is overconfident, blue if underconfident), and the grey steps are the share of the
    samples. Each panel tells the number of samples, the expected calibration error and the signed
    one. Nothing global is touched and no display is needed: `figure.savefig(path)`.

    Args:
        table: of samples.
        n_bins: bars of a panel.
        classes: those to tell apart; None = one panel of all samples.
        names: of all classes of the table, for the titles.

    Raises:
        ImportError: if matplotlib is not installed; the message names the extra.
        ValueError: as `reliability_diagram`, or if names are not one for each class.

    Example:
        >>> import torch
        >>> table = ClassCalibrationError(2)
        >>> table.update(torch.tensor([[0.75, 0.25], [0.25, 0.75]]), torch.tensor([0, 0]))
        >>> figure = draw_reliability(table, classes=[0, 1], names=["floor", "chair"])
        >>> [axes.get_title().split(":")[0] for axes in figure.axes]
        ['floor', 'chair']
    """
    if names is not None and len(names) != table.n_classes:
        raise ValueError(f"names must be one for each of {table.n_classes} classes, got {names}")
    bins, diagram = _rows(table, n_bins, classes), reliability_diagram(table, n_bins, classes)
    if classes is None:
        titles = ["all classes"]
    else:
        titles = [f"class {c}" if names is None else names[c] for c in classes]
    n_columns = max(1, math.ceil(math.sqrt(len(titles))))
    n_rows = max(1, math.ceil(len(titles) / n_columns))
    figure = _figure((_PANEL_INCHES * n_columns, _PANEL_INCHES * n_rows))
    for row, title in enumerate(titles):
        axes = figure.add_subplot(n_rows, n_columns, row + 1)
        count = int(bins.counts[row].sum())
        axes.set_title(f"{title}: {_told(bins, row)}" if count else f"{title}: no samples")
        axes.title.set_fontsize("small")
        _draw_panel(axes, diagram, row)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        if row % n_columns == 0:
            axes.set_ylabel("accuracy")
        if row + n_columns >= len(titles):
            axes.set_xlabel("confidence")
    return figure


def _rows(
    table: ClassCalibrationError, n_bins: int, classes: Sequence[int] | None
) -> CalibrationBins:
    bins = table.bins(n_bins)
    if classes is None:
        return bins.pooled()
    for one in classes:
        if not 0 <= one < table.n_classes:
            raise ValueError(f"classes must lie in [0, {table.n_classes}), got {one}")
    return CalibrationBins(*(values[list(classes)] for values in bins))


def _told(bins: CalibrationBins, row: int) -> str:
    gaps, count = (bins.correct - bins.confidences)[row], int(bins.counts[row].sum())
    ece, signed = float(gaps.abs().sum()) / count, float(gaps.sum()) / count
    return f"n {count:,}\nECE {ece:.3f}, signed {signed:+.3f}"


def _draw_panel(axes: Any, diagram: ReliabilityDiagram, row: int) -> None:
    edges, width = diagram.edges.numpy(), 1 / diagram.confidence.shape[1]
    confidence, accuracy = (v[row].nan_to_num(0.0).numpy() for v in diagram[1:3])
    place = {"x": edges[:-1], "width": width, "align": "edge"}
    axes.bar(**place, height=accuracy, color="0.75", edgecolor="white", linewidth=0.5)
    gaps = confidence - accuracy
    colors = ["tab:red" if gap > 0 else "tab:blue" for gap in gaps]
    hatched = {"facecolor": "none", "edgecolor": colors, "hatch": "////", "linewidth": 0.5}
    axes.bar(**place, height=gaps, bottom=accuracy, **hatched)
    axes.stairs(diagram.share[row].nan_to_num(0.0).numpy(), edges, color="black", linewidth=0.8)
    axes.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=0.8)


def _figure(size: tuple[float, float]) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        message = f"matplotlib must be installed (pip install pcl-calibration[plot]), got: {error}"
        raise ImportError(message) from error
    return Figure(figsize=size, layout="constrained")
