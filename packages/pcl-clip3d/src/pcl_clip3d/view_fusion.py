"""What several views say about a point, as one answer.

Each view of a point is one row: the class probabilities, the features or the label of the pixel
that shows it. Scenes of many views are given view by view; only sums are kept.
"""

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.argument_values import check_finite, check_ids

FusionRule = Literal["votes", "mean", "log_odds"]
LEAST_PROBABILITY = 1e-3  # so that no single view rules a class out
_SUM_TOLERANCE = 0.01  # of a row of probabilities in half precision


class FusedViews(NamedTuple):
    """One label for each point.

    `labels` are -1 and `confidence` 0 where no view shows the point; `n_views` counts its views.
    """

    labels: Int[Tensor, " n"]
    confidence: Float[Tensor, " n"]
    n_views: Int[Tensor, " n"]


class ViewFusion:
    r"""Class probabilities of many views, added up view by view.

    With the probabilities p_v(c) of the n views of a point, its label is the class with the largest
    q(c), and its confidence is that q; of equal ones the lowest class.

    - "votes": q(c) is the share of the views whose largest p_v is that of c.
    - "mean": q(c) = (1/n) sum_v p_v(c).
    - "log_odds": the product of the views, as if they were independent, normalised; the Bayesian
      update of McCormac et al., "SemanticFusion: Dense 3D Semantic Mapping with Convolutional
      Neural Networks", ICRA 2017, section III-C, from equal priors:

    .. math:: q(c) = \frac{\prod_v p_v(c)}{\sum_k \prod_v p_v(k)}, \quad
              \log \frac{q(a)}{q(b)} = \sum_v \log \frac{p_v(a)}{p_v(b)}

    so the log-odds of any two classes add up over the views. Probabilities are at least
    `LEAST_PROBABILITY` there. Views of one room are far from independent: this confidence is too
    high, and more so with more views.

    Args:
        n_points: of the scene.
        n_classes: at least 1.
        rule: one of the above.
        device: where the sums are kept; n_points x n_classes numbers.

    Raises:
        ValueError: if n_points is negative, n_classes below 1, or rule another word.

    Example:
        >>> import torch
        >>> fusion = ViewFusion(2, 2, rule="log_odds")
        >>> fusion.update(torch.tensor([0]), torch.tensor([[0.8, 0.2]]))
        >>> fusion.update(torch.tensor([0]), torch.tensor([[0.6, 0.4]]))
        >>> labels, confidence, n_views = fusion.compute()
        >>> labels.tolist(), confidence, n_views.tolist()
        ([0, -1], tensor([0.8571, 0.0000]), [2, 0])
    """

    def __init__(
        self,
        n_points: int,
        n_classes: int,
        *,
        rule: FusionRule,
        device: torch.device | str | None = None,
    ) -> None:
        if rule not in get_args(FusionRule):
            raise ValueError(f"rule must be one of {get_args(FusionRule)}, got {rule!r}")
        if n_classes < 1:
            raise ValueError(f"n_classes must be at least 1, got {n_classes}")
        self.n_classes = n_classes
        self.rule: FusionRule = rule
        self._rows = ViewMean(n_points, n_classes, device=device)

    @checked
    def update(self, point_index: Int[Tensor, " m"], probabilities: Float[Tensor, "m c"]) -> None:
        """Add views of points.

        Args:
            point_index: point of each row; a point may have several.
            probabilities: of the classes, each row of sum 1.

        Raises:
            ValueError: if a point is not in the scene, there are other classes, or probabilities
                lie outside [0, 1] or do not add up to 1 (to 0.01).
        """
        _check_probabilities(probabilities, self.n_classes)
        if self.rule == "votes":
            rows = functional.one_hot(probabilities.argmax(dim=1), probabilities.shape[1]).float()
        elif self.rule == "log_odds":
            rows = probabilities.float().clamp(min=LEAST_PROBABILITY).log()
        else:
            rows = probabilities
        self._rows.update(point_index, rows)

    def compute(self) -> FusedViews:
        """The answer of the views so far."""
        is_product = self.rule == "log_odds"
        shares = self._rows.sums.softmax(dim=1) if is_product else self._rows.compute()
        labels, n_views = shares.argmax(dim=1), self._rows.n_views
        confidence = shares.gather(1, labels[:, None])[:, 0].clamp(max=1)
        is_unseen = n_views == 0
        labels, confidence = labels.masked_fill(is_unseen, -1), confidence.masked_fill(is_unseen, 0)
        return FusedViews(labels, confidence, n_views.clone())


class ViewMean:
    """The mean of the features that many views have of each point, added up view by view.

    Args:
        n_points: of the scene.
        dim: channels of a feature.
        device: where the sums are kept.

    Raises:
        ValueError: if n_points or dim is negative.

    Example:
        >>> import torch
        >>> mean = ViewMean(2, 1)
        >>> mean.update(torch.tensor([0, 0]), torch.tensor([[1.0], [4.0]]))
        >>> mean.compute().tolist(), mean.n_views.tolist()
        ([[2.5], [0.0]], [2, 0])
    """

    def __init__(
        self, n_points: int, dim: int, *, device: torch.device | str | None = None
    ) -> None:
        if min(n_points, dim) < 0:
            raise ValueError(f"n_points and dim must be at least 0, got {n_points} and {dim}")
        self.sums = torch.zeros(n_points, dim, device=device)
        self.n_views = torch.zeros(n_points, dtype=torch.int64, device=device)

    @checked
    def update(self, point_index: Int[Tensor, " m"], features: Float[Tensor, "m d"]) -> None:
        """Add views of points.

        Args:
            point_index: point of each row; a point may have several.
            features: added in single precision.

        Raises:
            ValueError: if a point is not in the scene, a feature is not finite, or there are other
                channels.
        """
        n_points, dim = self.sums.shape
        if features.shape[1] != dim:
            raise ValueError(f"features must have shape (m, {dim}), got {tuple(features.shape)}")
        check_ids(0, n_points, point_index=point_index)
        check_finite(features=features)
        rows = point_index.long()
        self.sums.index_add_(0, rows, features.to(self.sums))
        self.n_views.index_add_(0, rows, torch.ones_like(rows))

    def compute(self) -> Float[Tensor, "n d"]:
        """The means so far; zero where no view shows the point."""
        return self.sums / self.n_views.clamp(min=1)[:, None]


@checked
def fuse_views(
    point_index: Int[Tensor, " m"],
    probabilities: Float[Tensor, "m c"],
    n_points: int,
    *,
    rule: FusionRule,
) -> FusedViews:
    """The label and the confidence of each point by all its views at once, as `ViewFusion`.

    Args:
        point_index: point of each pair.
        probabilities: of the classes at the pixel of each pair.
        n_points: of the scene.
        rule: "votes", "mean" or "log_odds".

    Raises:
        ValueError: as `ViewFusion` and its `update`.

    Example:
        >>> import torch
        >>> p = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
        >>> point_index = torch.tensor([0, 0, 0])
        >>> [
        ...     fuse_views(point_index, p, 1, rule=rule).labels.item()
        ...     for rule in ("votes", "mean")
        ... ]
        [1, 0]
    """
    device = probabilities.device
    fusion = ViewFusion(n_points, probabilities.shape[1], rule=rule, device=device)
    fusion.update(point_index, probabilities)
    return fusion.compute()


@checked
def mean_features(
    point_index: Int[Tensor, " m"], features: Float[Tensor, "m d"], n_points: int
) -> Float[Tensor, "n d"]:
    """The mean of the features of all views of each point; zero where there is none.

    The fusion of OpenScene (Peng et al., CVPR 2023), section 3.1; `ViewMean` does it view by view.

    Args:
        point_index: point of each pair.
        features: at the pixel of each pair.
        n_points: of the scene.

    Raises:
        ValueError: if n_points is negative, a point is not in the scene, or a feature not finite.

    Example:
        >>> import torch
        >>> mean_features(torch.tensor([1, 1]), torch.tensor([[1.0], [2.0]]), 2).tolist()
        [[0.0], [1.5]]
    """
    mean = ViewMean(n_points, features.shape[1], device=features.device)
    mean.update(point_index, features)
    return mean.compute()


@checked
def view_agreement(
    point_index: Int[Tensor, " m"],
    labels: Int[Tensor, " m"],
    n_points: int,
    *,
    n_classes: int,
) -> Float[Tensor, " n"]:
    """The share of the views of each point that say its most frequent label; 0 without views.

    Args:
        point_index: point of each pair.
        labels: of the pixel of each pair; pairs of -1 say nothing and are not counted.
        n_points: of the scene.
        n_classes: of the labels.

    Raises:
        ValueError: if a point is not in the scene, or a label is not in [-1, n_classes).

    Example:
        >>> import torch
        >>> view_agreement(torch.tensor([0, 0, 0]), torch.tensor([2, 2, 1]), 2, n_classes=3)
        tensor([0.6667, 0.0000])
    """
    check_ids(0, n_points, point_index=point_index)
    check_ids(-1, n_classes, labels=labels)
    is_known = labels >= 0
    place = point_index[is_known] * n_classes + labels[is_known]
    votes = torch.bincount(place, minlength=n_points * n_classes).view(n_points, n_classes)
    return votes.amax(dim=1) / votes.sum(dim=1).clamp(min=1)


def _check_probabilities(probabilities: Float[Tensor, "m c"], n_classes: int) -> None:
    if probabilities.shape[1] != n_classes:
        raise ValueError(
            f"probabilities must have shape (m, {n_classes}), got {tuple(probabilities.shape)}"
        )
    if probabilities.device.type != "cpu" or not probabilities.numel():
        return
    low, high = probabilities.aminmax()
    if not (low >= 0 and high <= 1 + _SUM_TOLERANCE):  # NaN too
        raise ValueError(f"probabilities must lie in [0, 1], got [{low:g}, {high:g}]")
    sums = probabilities.sum(dim=1, dtype=torch.float32)
    worst = sums[(sums - 1).abs().argmax()]
    if abs(worst - 1) > _SUM_TOLERANCE:
        raise ValueError(f"probabilities must add up to 1 in each row, got {worst:g}")
