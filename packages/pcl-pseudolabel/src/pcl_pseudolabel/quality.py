"""How good pseudo-labels are, against hidden truth.

Chu et al., "TWIST", CVPR 2022, Fig. 4: point-wise accuracy of the classes and length of the
difference of the offset vectors, over the points that have a pseudo-label.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.pseudo_labels import PseudoLabels


@dataclass(frozen=True)
class PseudoLabelQuality:
    """Counts over points, to be added over scenes, and the figures they give.

    Example:
        >>> scenes = [
        ...     PseudoLabelQuality(correct=3, covered=4, labeled=8),
        ...     PseudoLabelQuality(),
        ... ]
        >>> total = sum(scenes, start=PseudoLabelQuality())
        >>> total.semantic_accuracy, total.coverage, total.offset_error
        (0.75, 0.5, nan)
    """

    correct: int = 0
    """Points whose pseudo-label equals the truth."""
    covered: int = 0
    """Points with both a pseudo-label and a true label."""
    labeled: int = 0
    """Points with a true label."""
    offset_error_sum: float = 0.0
    """Summed length of the offset difference, metres."""
    offset_points: int = 0
    """Points with both a pseudo-offset and a true instance."""

    def __add__(self, other: "PseudoLabelQuality") -> "PseudoLabelQuality":
        return PseudoLabelQuality(
            self.correct + other.correct,
            self.covered + other.covered,
            self.labeled + other.labeled,
            self.offset_error_sum + other.offset_error_sum,
            self.offset_points + other.offset_points,
        )

    @property
    def semantic_accuracy(self) -> float:
        """Fraction of covered points with the right class; NaN when none is covered."""
        return self.correct / self.covered if self.covered else math.nan

    @property
    def offset_error(self) -> float:
        """Mean length of the offset difference in metres; NaN when no point has both offsets."""
        return self.offset_error_sum / self.offset_points if self.offset_points else math.nan

    @property
    def coverage(self) -> float:
        """Fraction of truly labeled points with a pseudo-label; NaN without a true label."""
        return self.covered / self.labeled if self.labeled else math.nan


@checked
def pseudo_label_quality(
    pseudo: PseudoLabels,
    labels: Int[Tensor, " n"],
    centroid_offsets: Float[Tensor, "n 3"],
    instances: Int[Tensor, " n"],
) -> PseudoLabelQuality:
    """Compare the pseudo-labels of a scene with the truth.

    Args:
        pseudo: pseudo-labels of the same points, which it knows (`PseudoLabels.at`).
        labels: true train ids; -1 is left out of classes and coverage.
        centroid_offsets: true offsets, metres; see `centroid_offsets`.
        instances: true instances; -1 is left out of the offset error.

    Raises:
        ValueError: if lengths differ, or the pseudo-labels do not know their points.

    Example:
        >>> import torch
        >>> from pcl_pseudolabel import threshold_pseudo_labels
        >>> sure = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
        >>> pseudo = threshold_pseudo_labels(sure, torch.zeros(2, 3))
        >>> offsets = torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]])
        >>> one = pseudo_label_quality(
        ...     pseudo, torch.tensor([1, 1]), offsets, torch.tensor([0, 0])
        ... )
        >>> one.semantic_accuracy, one.offset_error, one.coverage
        (1.0, 5.0, 0.5)
    """
    if len(labels) != len(pseudo.labels):
        raise ValueError(f"labels must have shape ({len(pseudo.labels)},), got ({len(labels)},)")
    has_label = labels >= 0
    covered = has_label & (pseudo.labels >= 0)
    has_offset = pseudo.valid & (instances >= 0)
    error = (pseudo.centroid_offsets - centroid_offsets)[has_offset].norm(dim=1)
    return PseudoLabelQuality(
        correct=int((covered & (pseudo.labels == labels)).sum()),
        covered=int(covered.sum()),
        labeled=int(has_label.sum()),
        offset_error_sum=float(error.double().sum()),
        offset_points=int(has_offset.sum()),
    )
