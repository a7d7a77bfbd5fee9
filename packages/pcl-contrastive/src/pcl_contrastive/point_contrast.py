"""Matched points of two views have like features, other points have not.

Xie et al., "PointContrast", ECCV 2020, sec. 3.3: PointInfoNCE and the hardest-contrastive loss,
which is that of Choy et al., "Fully Convolutional Geometric Features", ICCV 2019. The first is
also what Hou et al., "Contrastive Scene Contexts", CVPR 2021, and SSPL build on.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from pcl_contrastive.argument_shapes import checked
from pcl_contrastive.argument_values import check_ids
from pcl_contrastive.random_rows import draw_below, draw_rows


class HardestContrastive(NamedTuple):
    """The two terms and their sum."""

    loss: Float[Tensor, ""]
    positive: Float[Tensor, ""]
    negative: Float[Tensor, ""]


@checked
def point_info_nce(
    queries: Float[Tensor, "n c"], keys: Float[Tensor, "n c"], *, temperature: float
) -> Float[Tensor, ""]:
    r"""PointInfoNCE: each query finds its own key among all keys.

    .. math:: L = -\frac{1}{n} \sum_i \log
              \frac{\exp(q_i \cdot k_i / \tau)}{\sum_j \exp(q_i \cdot k_j / \tau)}

    with rows of length 1 and the temperature tau. Only queries search (the published code does not
    search the other way), and the sum of the paper is a mean, so that scenes of any number of
    matches weigh the same. Computed in single precision at least, also under autocast.

    Args:
        queries: features of the matched points of view 0; normalised here.
        keys: features of their matches in view 1, row by row; normalised here.
        temperature: divisor of the cosines; PointContrast and Contrastive Scene Contexts use 0.4.

    Raises:
        ValueError: if shapes differ, there is no row or temperature is not positive.

    Example:
        >>> import torch
        >>> point_info_nce(torch.eye(2), torch.eye(2), temperature=1.0)  # log(1 + 1/e)
        tensor(0.3133)
    """
    check_pairs(queries, temperature)
    with torch.autocast(queries.device.type, enabled=False):
        logits = unit_rows(queries) @ unit_rows(keys).T / temperature
        return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@checked
def hardest_contrastive_loss(
    features_a: Float[Tensor, "n c"],
    features_b: Float[Tensor, "m c"],
    matches: Int[Tensor, "k 2"],
    *,
    positive_margin: float = 0.1,
    negative_margin: float = 1.4,
    n_positives: int = 1024,
    n_candidates: int = 256,
    generator: torch.Generator | None = None,
) -> HardestContrastive:
    r"""Matches come close, and the closest other point of either view goes away.

    .. math:: L = \operatorname{mean}_{(i,j)} [d(a_i, b_j) - m_p]_+^2
              + \tfrac{1}{2} \operatorname{mean}_i [m_n - \min_k d(a_i, b_k)]_+^2
              + \tfrac{1}{2} \operatorname{mean}_j [m_n - \min_k d(b_j, a_k)]_+^2

    with d the distance of rows of length 1, (i, j) among at most `n_positives` random matches, k
    among `n_candidates` random points of the other view that do not match the point at hand. A
    point all of whose candidates match it has no negative and is left out of that mean; a mean of
    nothing is 0.

    The published code differs from this, its equation: it takes the hinge of the squared distance
    of positives, and drops a point whose closest candidate is a match instead of taking the next.

    Args:
        features_a: all points of view 0; normalised here.
        features_b: all points of view 1; normalised here.
        matches: rows of view 0 and of view 1 that are the same point.
        positive_margin: distance, in [0, 2], up to which matches are close enough.
        negative_margin: distance, in [0, 2], from which others are far enough.
        n_positives: matches drawn.
        n_candidates: points drawn of either view, to find negatives among.
        generator: source of the random numbers, on the device of the tensors.

    Raises:
        ValueError: if channels differ, there is no match, (on a CPU) a match names a row that is
            not there, a margin is outside [0, 2] or a number to draw is below 1.

    Example:
        >>> import torch
        >>> far = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        >>> hardest_contrastive_loss(far, far, torch.tensor([[0, 0], [1, 1]])).loss
        tensor(0.)
    """
    for name, number in (("n_positives", n_positives), ("n_candidates", n_candidates)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    for name, margin in (("positive", positive_margin), ("negative", negative_margin)):
        if not 0 <= margin <= 2:
            raise ValueError(f"{name}_margin must lie in [0, 2], got {margin}")
    if len(matches) == 0:
        raise ValueError(f"matches must have at least one row, got shape {tuple(matches.shape)}")
    check_ids(0, len(features_a), **{"matches[:, 0]": matches[:, 0]})
    check_ids(0, len(features_b), **{"matches[:, 1]": matches[:, 1]})
    device = features_a.device
    with torch.autocast(device.type, enabled=False):
        a, b = unit_rows(features_a), unit_rows(features_b)
        sampled = matches[draw_rows(len(matches), n_positives, device, generator)]
        candidates_a = draw_rows(len(a), n_candidates, device, generator)
        candidates_b = draw_rows(len(b), n_candidates, device, generator)
        row_a, row_b = sampled.unbind(dim=1)
        match_keys = matches[:, 0] * len(b) + matches[:, 1]
        is_match_a = torch.isin(row_a[:, None] * len(b) + candidates_b, match_keys)
        is_match_b = torch.isin(candidates_a * len(b) + row_b[:, None], match_keys)

        distance = (a[row_a] - b[row_b]).norm(dim=1)
        positive = (distance - positive_margin).relu().square().mean()
        from_a = _hardest_negative(a[row_a], b[candidates_b], is_match_a, negative_margin)
        from_b = _hardest_negative(b[row_b], a[candidates_a], is_match_b, negative_margin)
        negative = (from_a + from_b) / 2
        return HardestContrastive(positive + negative, positive, negative)


@checked
def sample_matches(
    matches: Int[Tensor, "k 2"], n_matches: int, *, generator: torch.Generator | None = None
) -> Int[Tensor, "m 2"]:
    """Matches in which a row of view 0 occurs at most once, and at most `n_matches` of them.

    A radius search gives a point several matches. One is drawn uniformly for each row of view 0,
    then rows are drawn without replacement where there are too many.

    Args:
        matches: rows of view 0 and of view 1, in any order.
        n_matches: the most that come back; Contrastive Scene Contexts takes 4096 a scene.
        generator: source of the random numbers, on the device of the tensors.

    Returns:
        Rows of `matches`, ascending in view 0.

    Raises:
        ValueError: if n_matches < 1.

    Example:
        >>> import torch
        >>> sample_matches(torch.tensor([[4, 0], [2, 7], [2, 7]]), 10)
        tensor([[2, 7],
                [4, 0]])
    """
    if n_matches < 1:
        raise ValueError(f"n_matches must be at least 1, got {n_matches}")
    matches = matches[matches[:, 0].argsort(stable=True)]
    _, counts = matches[:, 0].unique_consecutive(return_counts=True)
    start = counts.cumsum(0) - counts
    one = matches[start + draw_below(counts, generator)]
    return one[draw_rows(len(one), n_matches, one.device, generator).sort().values]


def unit_rows(features: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """Rows of length 1, in single precision at least; a row of zeros stays."""
    return functional.normalize(features if features.dtype == torch.double else features.float())


def check_pairs(queries: Float[Tensor, "n c"], temperature: float) -> None:
    """What every InfoNCE asks of its arguments."""
    if len(queries) == 0:
        raise ValueError(f"queries must have at least one row, got shape {tuple(queries.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")


def _hardest_negative(
    anchors: Float[Tensor, "p c"],
    candidates: Float[Tensor, "q c"],
    is_match: Bool[Tensor, "p q"],
    margin: float,
) -> Float[Tensor, ""]:
    """Mean over the anchors with a negative of the squared hinge below the margin."""
    distance = torch.cdist(anchors.detach(), candidates.detach())
    hardest = distance.masked_fill(is_match, torch.inf).argmin(dim=1)
    # Only the pairs chosen are differentiated.
    hinge = (margin - (anchors - candidates[hardest]).norm(dim=1)).relu()
    has_negative = ~is_match.all(dim=1)
    return (hinge.square() * has_negative).sum() / has_negative.sum().clamp(min=1)
