"""Labels and samples by geometric sets.

HICL: "Label-free 3D Semantic Segmentation via Hierarchical Intra-modal Correlation Learning", CVPR
2024, section 3.2. Memory grows with the points, not with sets times classes.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from pcl_clip3d.argument_shapes import checked


@checked
def vote_in_sets(
    labels: Int[Tensor, " n"], sets: Int[Tensor, " n"], *, n_classes: int
) -> Int[Tensor, " n"]:
    """The most frequent label of each point's set, l_i = Mode({l_j : j in G_k}) for i in G_k.

    A label of -1 votes for nothing, ties go to the lowest class, and the points of a set without
    votes get -1. A point without a set (-1) keeps its label.

    Args:
        labels: below n_classes, -1 = unlabeled.
        sets: any ids; -1 or less for none.
        n_classes: number of classes.

    Raises:
        ValueError: if a label lies outside [-1, n_classes).

    Example:
        >>> import torch
        >>> labels = torch.tensor([2, 2, 0, -1, 1, 0, -1])
        >>> vote_in_sets(labels, torch.tensor([0, 0, 0, 0, 5, 5, 9]), n_classes=3)
        tensor([ 2,  2,  2,  2,  0,  0, -1])
    """
    if len(labels) and not -1 <= labels.min() <= labels.max() < n_classes:
        low, high = (int(label) for label in labels.aminmax())
        raise ValueError(f"labels must lie in [-1, {n_classes}), got [{low}, {high}]")
    labels = labels.long()
    numbers = sets.unique(return_inverse=True)[1]
    votes = (numbers * n_classes + labels)[labels >= 0]
    ballots, counts = votes.unique(return_counts=True)  # by set, then by class
    owners, classes = ballots // n_classes, ballots % n_classes
    most = counts.new_zeros(len(sets)).scatter_reduce_(0, owners, counts, "amax")
    wins = counts == most[owners]
    winners = labels.new_full((len(sets),), n_classes)
    winners.scatter_reduce_(0, owners[wins], classes[wins], "amin")
    winners[winners == n_classes] = -1
    return torch.where(sets >= 0, winners[numbers], labels)


@checked
def vote_in_views(
    labels: Int[Tensor, " m"], sets: Int[Tensor, " m"], views: Int[Tensor, " m"], *, n_classes: int
) -> Int[Tensor, " m"]:
    """The most frequent label among the pixels of a set in one view, for each pair (sec. 3.2).

    l_ij = Mode({l_ij : I_ij in G_k}), the vote of `vote_in_sets` in each image alone.

    Args:
        labels: of the pixel of each pair, below n_classes, -1 = unlabeled.
        sets: of the point of each pair, any ids; -1 or less for none.
        views: of the pixel of each pair, any ids.
        n_classes: number of classes.

    Raises:
        ValueError: if a label lies outside [-1, n_classes).

    Example:
        >>> import torch
        >>> labels, views = torch.tensor([1, 1, 0, 0]), torch.tensor([0, 0, 0, 7])
        >>> vote_in_views(labels, torch.zeros(4, dtype=torch.long), views, n_classes=2)
        tensor([1, 1, 1, 0])
    """
    set_numbers, view_numbers = (ids.unique(return_inverse=True)[1] for ids in (sets, views))
    projected = set_numbers * len(views) + view_numbers
    return vote_in_sets(labels, torch.where(sets >= 0, projected, -1), n_classes=n_classes)


@checked
def sample_in_sets(
    sets: Int[Tensor, " n"], n_samples: int, *, generator: torch.Generator | None = None
) -> Int[Tensor, " m"]:
    """Distinct rows, of each set in proportion to its size: M_i = M N_i / N (sec. 3.2).

    The M_i are rounded down, and those with the largest remainders get one more, equal ones by the
    lowest id, so that they add up to M = min(n_samples, N). In a set, rows are drawn uniformly.

    Args:
        sets: any ids; points without a set (all of one id, -1) are drawn as a set is.
        n_samples: how many rows to draw.
        generator: of the draw, on any device.

    Returns:
        Rows in ascending order.

    Raises:
        ValueError: if n_samples is negative.

    Example:
        >>> import torch
        >>> sets = torch.tensor([0] * 6 + [1] * 3 + [2])
        >>> sets[sample_in_sets(sets, 5)]
        tensor([0, 0, 0, 1, 1])
    """
    if n_samples < 0:
        raise ValueError(f"n_samples must not be negative, got {n_samples}")
    numbers, sizes = sets.unique(return_inverse=True, return_counts=True)[1:]
    quotas = _largest_remainders(sizes, min(n_samples, len(sets)))
    device = sets.device if generator is None else generator.device
    shuffled = torch.randperm(len(sets), generator=generator, device=device).to(sets.device)
    by_set = shuffled[numbers[shuffled].argsort(stable=True)]
    starts = (sizes.cumsum(0) - sizes)[numbers[by_set]]
    rank = torch.arange(len(sets), device=sets.device) - starts
    return by_set[rank < quotas[numbers[by_set]]].sort().values


def _largest_remainders(sizes: Int[Tensor, " s"], total: int) -> Int[Tensor, " s"]:
    """Whole numbers in proportion to the sizes that add up to the total, at most the sizes' sum."""
    shares = sizes * total
    n_points = max(int(sizes.sum()), 1)
    quotas = shares // n_points
    missing = total - int(quotas.sum())
    quotas[(shares % n_points).argsort(descending=True, stable=True)[:missing]] += 1
    return quotas
