"""Two overlapping partial views cut from one point cloud.

For scenes without camera frames, or to spare the frames: Wu et al., "Masked Scene Contrast", CVPR
2023, make the views of contrastive pre-training from the assembled scene. They crop the two
independently, which promises no overlap; here the overlap is drawn, and the views follow.
"""

from math import ceil
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64
from numpy.random import Generator


class ViewPair(NamedTuple):
    """Two views of a cloud.

    `index_a` and `index_b` are the points of each, ascending; `matches` are the positions in them
    of the points that both hold, sorted, as `correspondences` gives them.
    """

    index_a: Int64[np.ndarray, " v"]
    index_b: Int64[np.ndarray, " v"]
    matches: Int64[np.ndarray, "k 2"]


def cut_views(
    points: Float[np.ndarray, "n 3"],
    generator: Generator,
    *,
    size: float = 0.5,
    min_overlap: float = 0.3,
) -> ViewPair:
    """Two neighbouring pieces of the cloud that share points.

    A view has v = ceil(size n) points. The number k of shared points is drawn uniformly between
    ceil(min_overlap v) and v, so at least min_overlap of the points of a view are in the other. The
    2 v - k points that are nearest to a random one, in the floor plan, are sorted along a random
    horizontal direction: the first v are one view and the last v the other. Where the cloud has
    fewer than 2 v - k points, more are shared.

    Args:
        points: world coordinates, metres, z up; at least one.
        generator: source of randomness.
        size: share of the points that a view has, in (0, 1].
        min_overlap: least share of the points of a view that are in the other, in (0, 1].

    Raises:
        ValueError: if there is no point, or size or min_overlap is outside (0, 1].

    Example:
        >>> import numpy as np
        >>> points = np.random.default_rng(0).random((100, 3))
        >>> index_a, index_b, matches = cut_views(points, np.random.default_rng(1))
        >>> len(index_a), len(index_b), bool(len(matches) >= 15)
        (50, 50, True)
        >>> bool((index_a[matches[:, 0]] == index_b[matches[:, 1]]).all())
        True
    """
    n = len(points)
    if n == 0:
        raise ValueError("points must hold at least one point, got 0")
    for argument, share in (("size", size), ("min_overlap", min_overlap)):
        if not 0 < share <= 1:
            raise ValueError(f"{argument} must lie in (0, 1], got {share}")
    n_view = ceil(size * n)
    n_shared = int(generator.integers(ceil(min_overlap * n_view), n_view, endpoint=True))
    plan = points[:, :2].astype(np.float64)
    distance = np.square(plan - plan[generator.integers(n)]).sum(axis=1)
    window = np.argsort(distance, kind="stable")[: 2 * n_view - n_shared]
    angle = generator.uniform(0, 2 * np.pi)
    along = plan[window] @ [np.cos(angle), np.sin(angle)]
    window = window[np.argsort(along, kind="stable")]
    index_a, index_b = np.sort(window[:n_view]), np.sort(window[-n_view:])
    _, in_a, in_b = np.intersect1d(index_a, index_b, assume_unique=True, return_indices=True)
    return ViewPair(index_a, index_b, np.stack([in_a, in_b], axis=1))
